"""A model from a user's own file takes part in a study as the study's own models do."""

import pandas as pd
import pytest

from genre_utils.evaluation import scoring, study_results
from genre_utils.workspace import files, model_names
from small_study import copied, small_study_fixture, uncompiled  # noqa: F401
from study_runs import ROOT

pytest.importorskip("keras")

from genre_utils.data import splits
from genre_utils.experiments import own_model
from genre_utils.models import architectures, training, training_data

SMALL = """
from keras import layers
from genre_utils.models import hyperparameters

SETTINGS = hyperparameters.Hyperparameters(learning_rate=0.01, batch_size=8, hidden_layers=1)


def build(x, settings):
    return layers.GlobalAveragePooling1D()(x)
"""


@pytest.fixture(scope="module", autouse=True)
def step_by_step():
    with uncompiled():
        yield


@pytest.fixture
def study(small_study, tmp_path):
    """A copy of the small study that a test may change."""
    return copied(small_study, tmp_path / "study")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_mean.py"
    path.write_text(SMALL)
    return path


@pytest.fixture
def trained(monkeypatch):
    """Folds that were trained, in order; a fold that was read is not among them."""
    seen, real = [], training.train_fold

    def watched(data, fold, *arguments, **options):
        seen.append(fold)
        return real(data, fold, *arguments, **options)

    monkeypatch.setattr(training, "train_fold", watched)
    return seen


def test_it_is_tested_on_the_folds_of_the_study_and_stands_beside_the_others(study, file):
    predictions, run = own_model.cross_validate(study, file, epochs=1)
    other = model_names.MODEL_ORDER[0]  # a model of the study, with worse answers
    columns = scoring.probability_columns(predictions)
    worse = predictions.assign(
        **dict(zip(columns, predictions[columns[::-1]].to_numpy().T, strict=True))
    )
    study.write_model(other, worse, run)
    results = study_results.results(study, "mine")
    assert list(results["models"]) == [other, "my_mean"]
    row = own_model.compare_with_others(results, "my_mean").loc[other]
    accuracy = {name: model["accuracy"] for name, model in results["models"].items()}
    assert row["difference"] == pytest.approx(accuracy["my_mean"] - accuracy[other])
    assert row["low"] <= row["difference"] <= row["high"]
    test = study.folds.query("part == 'test'")
    assert dict(zip(predictions["track_id"], predictions["fold"], strict=True)) == dict(
        zip(test["track_id"], test["fold"], strict=True)
    )
    assert run["hashes"]["own"] == files.sha256(file.read_bytes())
    assert "my_mean" not in architectures.BUILDERS  # the registry is as it was


def test_a_changed_file_trains_anew_and_an_unchanged_one_is_read(study, file, trained):
    first, _ = own_model.cross_validate(study, file, epochs=1)
    assert trained == [0, 1]
    again, _ = own_model.cross_validate(study, file, epochs=1)
    assert trained == [0, 1]
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    file.write_text(SMALL.replace("GlobalAverage", "GlobalMax"))
    changed, _ = own_model.cross_validate(study, file, epochs=1)
    assert trained == [0, 1, 0, 1] and not changed.equals(first)
    file.write_text(SMALL)
    back, _ = own_model.cross_validate(study, file, epochs=1)
    assert trained == [0, 1, 0, 1]  # the folds of both versions are kept
    pd.testing.assert_frame_equal(first, back, check_exact=True)


def test_leakage_is_refused_as_for_every_model(study, file):
    folds = study.folds
    test = folds[(folds["fold"] == 0) & (folds["part"] == "test")].index[0]
    train = folds[(folds["fold"] == 0) & (folds["part"] == "train")].index[0]
    folds.loc[train, "group"] = folds.loc[test, "group"]
    study.write(folds=folds)
    with pytest.raises(splits.LeakageError):
        own_model.cross_validate(study, file, epochs=1)
    assert "my_mean" not in architectures.BUILDERS and not (study.path / "predictions").exists()


def test_it_may_read_handcrafted_features(study, file):
    file.write_text(
        SMALL.replace("layers.GlobalAveragePooling1D()(x)", "layers.Dense(4)(x)")
        + "\nREADS = 'features'\n"
    )
    network = own_model.build(training_data.load_data(study), file)
    assert (network.input_shape, network.output_shape) == ((None, 2), (None, 2))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def build", "def make", "my_mean.py: it needs a function build"),
        ("SETTINGS =", "settings =", "my_mean.py: it needs SETTINGS"),
        ("= hyperparameters.Hyperparameters(", "= dict(", "must be hyperparameters.Hyperp"),
        ("(x, settings)", "(x)", r"build\(x, settings\)"),
        ("def build", "READS = 'mp3'\n\n\ndef build", "choose 'log_mel' or 'features'"),
        ("GlobalAveragePooling1D()", "AveragePooling1D(2)", r"one vector for each.*\(None, 4, 16"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_to_change(study, file, old, new, message):
    file.write_text(SMALL.replace(old, new))
    with pytest.raises(ValueError, match=message):
        own_model.cross_validate(study, file, epochs=1)
    assert not study.folds_done().exists() and "my_mean" not in architectures.BUILDERS


@pytest.mark.parametrize("name", ["cnn", "svm", "cnn_tuned", "my model", "mine_tuned"])
def test_a_name_that_is_taken_or_no_name_is_refused(file, name):
    with pytest.raises(ValueError, match="another model: rename"):
        own_model._load(file.rename(file.with_stem(name)))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.py"):
        own_model._load(tmp_path / "nothing.py")


def test_the_example_is_a_model_of_any_study(study):
    file = ROOT / "notebooks" / "my_model.py"
    network = own_model.build(training_data.load_data(study), file)
    assert network.output_shape == (None, 2) and network.name == "my_model"


def test_one_model_alone_has_no_others():
    assert own_model.compare_with_others({"pairwise": []}, "mine").empty
