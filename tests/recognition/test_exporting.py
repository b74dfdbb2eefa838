"""Exported models answer as the trained ones do, and say what they are."""

from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from genre_utils.data import splits
from genre_utils.evaluation import calibration, scoring
from genre_utils.features import recipes, summarising
from genre_utils.models import classical, cross_validation, regression, training_data
from genre_utils.recognition import exported_model, exporting, listening
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder
from small_study import GENRES, small_study_fixture  # noqa: F401

SMALL = {"sr": 22_050, "clip_seconds": 4.0, "frames": 40, "n_mels": 16}


@pytest.fixture(scope="module", autouse=True)
def known_store():
    """The small study is a store, whose recipe is taken for known here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(exporting.STORES, "small", SMALL)
        yield


@pytest.fixture(scope="module")
def study(small_study):
    study = small_study
    study.write(features=study.features | {"families": ["log_mel"]})
    summary = study.summary.iloc[:, :3]
    rng, recipe = np.random.default_rng(0), {"reads": ["features"], "frames_per_second": 10.0}
    heard = listening._store_families(rng.random((16, 40)), recipe)  # what recognition will read
    columns = summarising.summary_columns(heard)
    values = pd.DataFrame(rng.random((len(summary), len(columns))), columns=columns)
    study.write(summary=pd.concat([summary, values], axis=1))
    classical.cross_validate_classical(study, "logistic")
    cross_validation.cross_validate(study, "mlp", epochs=2)
    cross_validation.fit_final(study, ["mlp"])
    return study


@pytest.mark.parametrize("name", ["lstm", "fusion"])  # recurrent; convolutions, and two inputs
def test_a_network_answers_as_before_without_tensorflow(name):
    import keras

    from genre_utils.models import architectures, hyperparameters

    rng = np.random.default_rng(0)
    shapes = {"log_mel": (24, 16), "features": (7,)}
    x = {key: rng.random((3, *shape), dtype=np.float32) for key, shape in shapes.items()}
    statistics = {k: (np.full(s[-1], 0.5), np.full(s[-1], 0.1)) for k, s in shapes.items()}
    keras.utils.set_random_seed(1)
    model = architectures.build(name, shapes, 3, hyperparameters.DEFAULTS[name], statistics)
    seen = {key: x[key] for key in architectures.reads(name)}
    said = exported_model.litert_runner(exporting._litert_bytes(model))(seen)
    assert said == pytest.approx(model.predict(architectures.alone(seen), verbose=0), abs=1e-5)
    assert np.ptp(said, axis=0).max() > 1e-6  # it depends on the input


def test_logistic_regression_is_its_matrix(study):
    path = exporting.export_model(study, "logistic", store_recipe="small")
    data = classical.Data(study)
    x = data.x.to_numpy()
    fitted = classical.estimator("logistic", x).fit(x, data.genre)
    with np.load(path, allow_pickle=False) as arrays:
        said = regression.probabilities(dict(arrays), data.x.to_numpy())
    assert said == pytest.approx(fitted.predict_proba(data.x.to_numpy()), abs=1e-5)
    assert list(fitted.classes_) == GENRES


def test_a_network_of_a_study_is_exported_with_all_that_recognition_needs(study):
    path = exporting.export_model(study, "mlp", store_recipe="small")
    model = exported_model.MusicStyleClassifier(path)
    data = training_data.load_data(study)
    trained = keras.models.load_model(study.model("mlp", ".keras"), compile=False)
    x = data.inputs("mlp", np.arange(6))
    said = model.predict({"features": x})
    assert said == pytest.approx(trained.predict(x, verbose=0), abs=1e-4)
    assert model.about["recipe"]["reads"] == ["features"]


def test_the_sidecar_says_what_was_measured_out_of_fold(study):
    path = exporting.export_model(study, "logistic", store_recipe="small")
    about = exported_model.read_sidecar(path)
    tracks = scoring.track_probabilities(
        classical.predict_folds(classical.Data(study), "logistic")[0]
    )
    right = tracks["y_true"] == tracks["y_pred"]
    assert about["accuracy"]["value"] == pytest.approx(right.mean())
    low, high = about["accuracy"]["ci95"]
    assert low <= about["accuracy"]["value"] <= high
    p, true = scoring.probabilities(tracks)
    assert about["temperature"] == pytest.approx(calibration.temperature(p, true))
    scaled = calibration.apply_temperature(p, about["temperature"]).max(axis=1)
    answered = scaled >= about["abstain"]["below"]
    assert answered.mean() == pytest.approx(about["abstain"]["coverage"])
    assert right[answered].mean() == pytest.approx(about["abstain"]["accuracy"])
    assert about["labels"] == GENRES and about["corpus"]["synthetic"] is False
    assert [one["seconds"] for one in about["unlike"]["shorter"]] == [1.0, 3.0]  # clips have 4 s
    for one in (about["unlike"], *about["unlike"]["shorter"]):
        assert 0 <= one["false_alarms"] <= 0.5 and one["above"] > 0


def test_what_is_there_is_not_exported_again_but_a_changed_file_is(study):
    path = exporting.export_model(study, "logistic", store_recipe="small")
    before = path.stat().st_mtime_ns
    assert (
        exporting.export_model(study, "logistic", store_recipe="small").stat().st_mtime_ns == before
    )
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    exporting.export_model(study, "logistic", store_recipe="small")
    assert path.read_bytes() == content  # to the bit


def test_a_store_without_a_known_recipe_is_refused(study):
    assert "not known" in exporting.obstacle(study)
    assert "gtzan_mel80" in exporting.obstacle(study, "another")
    assert "shape" in exporting.obstacle(study, "gtzan_mel80")
    with pytest.raises(exporting.ExportError, match="not known"):
        exporting.export_model(study, "logistic")


def test_a_model_that_was_not_trained_or_has_changed_is_refused(study):
    with pytest.raises(exporting.ExportError, match="knn cannot be exported"):
        exporting.export_model(study, "knn", store_recipe="small")
    trained = study.model("mlp", ".keras")
    content = trained.read_bytes()
    study.model("mlp", ".npz").unlink(missing_ok=True)
    trained.write_bytes(content + b"x")
    with pytest.raises(exporting.ExportError, match="train it again"):
        exporting.export_model(study, "mlp", store_recipe="small")
    trained.write_bytes(content)


def test_false_alarms_are_counted_with_a_limit_from_other_folds():
    apart = pd.DataFrame({"fold": [0] * 20 + [1] * 20, "distance": [1.0] * 20 + [2.0] * 20})
    assert exporting._false_alarms(apart) == 0.5  # all of the second fold, none of the first


def test_a_part_of_a_clip_is_as_a_recording_that_is_no_longer():
    clip = np.full((100, 2), 0.5, np.float16)
    clip[10], clip[50], clip[90] = 0.75, 1.0, 0.25
    begin, middle, end = (exporting._part(clip, 20, place) for place in exporting.PLACES)
    assert [len(part) for part in (begin, middle, end)] == [20, 20, 20]
    assert all(part.max() == 1 for part in (begin, middle, end))
    assert begin.min() == 0.75 and middle.min() == 0.5 and end.min() == 0.75
    assert len(exporting._part(clip, 200, 0.5)) == 100


@threadpool_limits.wrap(limits=1)  # of small products, in which threads cost more than they give
def test_short_music_by_other_artists_is_seldom_called_unlike(
    gtzan_mel80, gtzan_excerpts, monkeypatch
):
    monkeypatch.setattr(exporting, "PARTS", (1.0, 3.0))  # longer ones decide nothing here
    known = pd.read_csv(gtzan_mel80 / "tracks.csv")[["track_id", "genre", "artist"]]
    heard = pd.read_csv(gtzan_excerpts / "tracks.csv")
    folds = splits.make_folds(known, folds=3, group_by="artist", seed=0)
    found = []
    for fold, own in folds.groupby("fold"):
        tested = own.loc[own["part"] == "test", "track_id"]
        others = folds[folds["fold"].ne(fold) & ~folds["track_id"].isin(tested)]
        about, sounds = _without(known["track_id"].isin(tested), known, others, gtzan_mel80)
        for name in heard.loc[heard["track_id"].isin(tested), "path"]:
            (_, y), *_ = listening.windows(gtzan_excerpts / name, seconds=30.0, sr=22_050)
            image = listening.inputs(y, about["recipe"], sounds)["spectrogram"]
            statistics = exported_model.spectrum_statistics(image)[np.newaxis]
            (distance,) = exported_model.typical_distance(sounds, statistics)
            limits = (exported_model.unlike_above(about, s) for s in (len(y) / 22_050, 30.0))
            found.append([distance > limit for limit in limits])
    alarms, before = np.mean(found, axis=0)
    assert len(found) == len(heard) and alarms < 0.1 < before


def _without(tested, known, folds, store):
    """What a sidecar would say of a store without the tested tracks, and its typical sounds."""
    log_mel = np.load(store / "log_mel.npy", mmap_mode="r")[~tested.to_numpy()]
    excerpts = known[~tested].assign(copy=0, frames=log_mel.shape[1])
    study = SimpleNamespace(excerpts=excerpts, log_mel=log_mel, folds=folds)
    recipe = exported_model.read_sidecar(exported_model.PRETRAINED)["recipe"] | {"reads": []}
    sounds, unlike = exporting._typical_sounds(study, recipe)
    return {"recipe": recipe, "unlike": unlike}, sounds | exporting.mel_bank("gtzan_mel80")


def test_the_recipe_of_a_study_with_recordings_is_that_of_its_features(study, tmp_path):
    recipe, described = recipes.Recipe(n_mels=16), study.features
    described |= {"recipe": recipe.__dict__, "families": ["log_mel"], "frames_per_second": 21.5}
    other = StudyFolder(tmp_path)
    other.write(features=described)
    assert exporting.obstacle(other) == ""
    told = exporting.recipe(other, "logistic", "")
    assert told["kind"] == "study" and told["n_mels"] == 16 and told["excerpt_frames"] == 129


def test_a_keras_model_that_carries_code_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "models" / "m.keras"
    path.parent.mkdir()
    keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x + 1)]).save(path)
    run = {"folds": [{"fold": 0}], "hyperparameters_per_fold": [{}], "max_epochs": 1, "seed": 0}
    files.write_json(tmp_path / "runs" / "m.json", run | {"versions": {}, "hashes": {}})
    monkeypatch.setattr(cross_validation, "_place", lambda *arguments: path)
    with pytest.raises(ValueError, match="Lambda"):
        cross_validation.fold_model(StudyFolder(tmp_path), "m", 0)
    files.write_json(path.with_suffix(".json"), {"sha256": files.sha256(path.read_bytes())})
    with pytest.raises(ValueError, match="Lambda"):
        exporting._network(StudyFolder(tmp_path), "m")
