"""Model cards: their numbers are recomputed, and what does not belong together is refused."""

import re

import numpy as np
import pytest
from sklearn import metrics

from genre_utils.evaluation import scoring
from genre_utils.plots import formatting
from genre_utils.recognition import exported_model, model_card
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder
from study_runs import ROOT

STUDY = StudyFolder(ROOT / "reports" / "gtzan-mel")


@pytest.fixture(scope="module")
def results():
    return STUDY.results


def sidecar(results, name, **more):
    """Sidecar of a network that was not exported, as `cross_validation.fit_final` writes it."""
    model, corpus = results["models"][name], results["corpus"]
    about = {"model": name, "labels": corpus["genres"], "recipe": None, "corpus": corpus}
    about |= {"accuracy": model["accuracy"], "hyperparameters": model["hyperparameters"]}
    return about | {"versions": {"keras": "3"}, "sha256": "0"} | more


def test_the_numbers_of_a_card_are_those_of_the_predictions(results):
    text = model_card.card(results, sidecar(results, "cnn"))
    tracks = scoring.track_probabilities(STUDY.predictions("cnn"))
    true, predicted, genres = tracks["y_true"], tracks["y_pred"], results["corpus"]["genres"]
    accuracy = metrics.accuracy_score(true, predicted)
    assert f"Accuracy: **{accuracy:.2f} [" in text and f"{len(tracks)} tracks" in text
    measured = metrics.precision_recall_fscore_support(true, predicted, labels=genres)
    for genre, *values, support in zip(genres, *measured, strict=True):
        row = re.search(rf"\| {genre} \| (\d+) \| (.+) \|", text)
        cells = row[2].split(" | ")
        assert int(row[1]) == support
        assert [float(cell.split(" [")[0]) for cell in cells] == np.round(values, 2).tolist()
    wrong = tracks[true != predicted].groupby(["y_true", "y_pred"]).size().nlargest(1)
    (one, other), count = wrong.index[0], wrong.iloc[0]
    assert f"- {one} taken for {other}: {count} of {(true == one).sum()} tracks" in text


def test_a_card_says_what_the_model_is_not(results):
    text = model_card.card(results, sidecar(results, "cnn"))
    assert text.count("\n# ") == 0 and text.startswith("# Model card: cnn\n")
    assert "cannot hear a recording by itself" in text and "composed" not in text
    composed = files.read_json(ROOT / "reports" / "demo" / "results.json")
    text = model_card.card(composed, sidecar(composed, "cnn"))
    assert "**Trained on composed (synthetic) music.**" in text.split("## ")[0]
    assert "MIT-licensed. Its music was composed" in text


def test_confusions_are_the_commonest_first_and_real():
    found = model_card._confusions([[5, 2, 0], [7, 1, 0], [0, 0, 3]], ["a", "b", "c"])
    assert found == [("b", "a", 7, 8), ("a", "b", 2, 7)]


@pytest.mark.parametrize("change", ["accuracy", "corpus"])
def test_a_sidecar_of_another_run_is_refused(results, change):
    about = sidecar(results, "cnn")
    about[change] = 0.5 if change == "accuracy" else {**about["corpus"], "sha256": "other"}
    with pytest.raises(model_card.CardError, match="not of the same run"):
        model_card.card(results, about)


def test_a_study_gets_a_card_for_each_model_that_it_keeps(results, tmp_path):
    study = StudyFolder(tmp_path)
    study.write(results=results)
    files.write_json(study.model("cnn", ".json"), sidecar(results, "cnn"))
    files.write_json(study.model("rnn", ".json"), sidecar(results, "rnn"))
    exported = sidecar(results, "rnn", kind="litert")
    files.write_json(study.model("rnn", ".npz.json"), exported)
    paths = model_card.write_cards(study)
    assert [path.name for path in paths] == ["cnn.md", "rnn.md"]
    assert "as LiteRT" in paths[1].read_text() and "as LiteRT" not in paths[0].read_text()
    assert paths[1].read_text() == model_card.card(results, exported)


def test_the_card_of_the_model_of_this_package_is_that_of_its_stored_facts():
    path = exported_model.PRETRAINED
    about, results = exported_model.read_sidecar(path), path.with_suffix(".results.json")
    text = model_card.card(files.read_json(results), about)
    assert path.with_suffix(".md").read_text(encoding="utf-8") == text
    model = files.read_json(results)["models"]["pretrained_fusion"]
    counts = np.array(model["confusion"])
    assert counts.sum() == about["accuracy"]["tracks"] == model["scored_tracks"]
    assert np.trace(counts) / counts.sum() == pytest.approx(about["accuracy"]["value"])
    assert model["ci95"]["accuracy"] == pytest.approx(about["accuracy"]["ci95"])
    recall = dict(zip(about["labels"], np.diag(counts) / counts.sum(axis=1), strict=True))
    assert recall == pytest.approx(about["accuracy"]["per_genre"])
    accuracy = formatting.as_text(about["accuracy"]["value"], about["accuracy"]["ci95"])
    assert f"Accuracy: **{accuracy}**" in text
