import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from genre_utils.evaluation import metrics, scoring
from genre_utils.models import classical
from genre_utils.paper import published, tables
from genre_utils.plots import formatting
from genre_utils.report import sentences
from genre_utils.workspace import model_names
from genre_utils.workspace.study_folder import StudyFolder
from small_study import small_study_fixture  # noqa: F401

quick = settings(max_examples=50, deadline=None)
counts = st.lists(st.integers(0, 9), min_size=16, max_size=16).filter(any)


def scores(base, seconds):
    numbers = {"accuracy": base, "precision": base - 0.01, "recall": base - 0.02, "f1": base - 0.03}
    limits = {name: [value - 0.1, value + 0.1] for name, value in numbers.items()}
    genre = numbers | {"support": 9, "ci95": limits}
    settings_ = {"learning_rate": 0.001, "batch_size": 32, "hidden_layers": 4}
    return numbers | {
        "ci95": limits,
        "per_genre": {"rock": genre, "polka": genre | {"recall": 0.5, "accuracy": 0.9}},
        "training_cpu_seconds": seconds,
        "hyperparameters": settings_ if seconds else {"C": 1.0},
    }


@pytest.fixture
def results():
    models = {"cnn": scores(0.7, 120), "hybrid": scores(0.9, 60), "svm": scores(0.6, None)}
    pair = {"a": "cnn", "b": "hybrid", "separable": False}
    other = {"a": "cnn", "b": "svm", "separable": True}
    return {"models": models, "pairwise": [pair, other], "corpus": {"genres": ["rock", "polka"]}}


def row(table, *labels):
    """The row whose first columns hold these labels, or the rows."""
    found = table[(table[table.columns[: len(labels)]] == list(labels)).all(axis=1)]
    assert len(found)
    return found.iloc[0] if len(found) == 1 else found


@pytest.fixture
def table_2(results, monkeypatch):
    """Tables of the made-up numbers, with some models stored."""
    monkeypatch.setattr(tables, "_weighted", lambda _, name, means: means)
    for model in results["models"].values():
        model["weighted"] = {"precision": "a", "F1": "b"}
    return lambda *stored: tables.table_2(None, results, stored)


def test_each_model_stands_below_the_papers_in_every_setting(results, table_2):
    results["models"]["cnn_tuned"] = results["models"]["cnn"] | {"accuracy": 0.75}
    results["models"]["cnn_paper"] = results["models"]["cnn"] | {"accuracy": 0.65}
    table = table_2("cnn_tuned")["measures"]
    assert list(table["model"]) == ["cnn"] * 4 + ["rnn"] + ["hybrid"] * 2
    assert row(table, "cnn", "paper")["accuracy"] == "0.92"
    assert row(table, "cnn", "best")["F1"] == "0.67 [0.57, 0.77]"
    assert row(table, "cnn", "paper's setting")["accuracy"].startswith("0.65")
    assert row(table, "cnn", "tuned (stored)")["accuracy"].startswith("0.75")
    assert row(table_2()["weighted"], "cnn", "tuned")["F1"] == "b"
    results["models"].clear()
    assert table_2()["measures"]["numbers"].eq("paper").all()


def test_genres_are_shown_both_ways_and_the_papers_where_it_has_them(table_2):
    table = table_2()["genres"]
    assert row(table, "cnn", "best", "rock")["paper"] == "0.93"
    polka = row(table, "cnn", "best", "polka")
    assert polka["paper"] == "" and polka["recall"].startswith("0.50")
    assert polka["against the rest"].startswith("0.90")
    assert set(table["model"]) == {"cnn", "hybrid"}


def test_settings_and_times_stand_beside_each_other(table_2):
    table = table_2()["settings"]
    assert list(row(table, "cnn", "paper")[2:]) == ["0.001", "32", "4", "1.5 h"]
    assert list(row(table, "cnn", "best")[2:]) == ["0.001", "32", "4", "2.0 min of CPU time"]


def write_run(study, name, hashes, **settings):
    run = {"hyperparameters": settings} | ({"hashes": hashes} if hashes else {})
    study.write_model(name, pd.DataFrame({"p_rock": []}), run)


@pytest.fixture
def runs(small_study):
    """Records of runs on the small study, as training and classical leave them."""
    from genre_utils.models import training_data

    deep, shallow = training_data.load_data(small_study).hashes, classical.Data(small_study).hashes
    for name, hashes in (("cnn", deep), ("mlp", deep), ("svm", shallow), ("logistic", shallow)):
        write_run(small_study, name, hashes)
    write_run(small_study, "my_model", deep)
    write_run(small_study, "ensemble", None, members=["logistic", "mlp"])
    return small_study, deep, shallow


NAMES = ("cnn", "mlp", "svm", "logistic", "ensemble", "my_model")


def test_models_of_this_run_are_not_marked(runs):
    found = tables.stored_before(runs[0], NAMES, ["cnn", "mlp", "svm", "logistic"])
    assert found == {}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"code": "old"}, "trained by other code"),
        ({"features": "old"}, "trained on other features"),
        ({"folds": "old"}, "trained on other folds"),
    ],
)
def test_models_of_other_inputs_are_marked(runs, changed, why):
    study, deep, shallow = runs
    write_run(study, "mlp", deep | changed)
    write_run(study, "svm", shallow | changed)
    found = tables.stored_before(study, NAMES, ["cnn", "mlp", "svm", "logistic"])
    assert found == {"mlp": why, "svm": why, "ensemble": why}  # the ensemble has mlp in it


def test_models_that_were_not_asked_for_are_marked(runs):
    found = tables.stored_before(runs[0], NAMES, ["mlp", "logistic"])
    assert found == dict.fromkeys(["cnn", "svm"], "not among MODELS now")


def test_weighted_means_are_those_of_the_results(tmp_path):
    rng, study = np.random.default_rng(0), StudyFolder(tmp_path)
    tracks = pd.DataFrame(
        {"track_id": [f"t{i}" for i in range(60)], "artist": (np.arange(60) // 3).astype(str)}
    )
    tracks["genre"] = np.where(np.arange(60) < 15, "jazz", "rock")
    folds = tracks[["track_id"]].assign(fold=0, part="test", group=tracks["artist"])
    study.write(tracks=tracks, folds=folds, corpus={"genres": ["jazz", "rock"]})
    p = np.where(tracks["genre"] == "rock", 0.6, 0.4) + rng.uniform(-0.3, 0.3, 60)
    table = tracks[["track_id"]].assign(excerpt=0, fold=0, y_true=tracks["genre"])
    study.write_model("cnn", table.assign(p_jazz=1 - p, p_rock=p), {})
    numbers = scoring.evaluate(study, study.predictions("cnn"))
    shown = tables._weighted(study, "cnn", numbers["weighted"])
    for measure, label in (("precision", "precision"), ("f1", "F1")):
        mean, low, high = map(float, re.findall(r"[\d.]+", shown[label]))
        assert mean == pytest.approx(numbers["weighted"][measure], abs=0.005)
        assert low < mean < high and 0.05 < high - low < 0.6


def test_as_text_without_an_interval_or_a_value():
    assert formatting.as_text(0.5) == formatting.as_text(0.5, [None, None]) == "0.50"
    assert formatting.as_text(None) == formatting.as_text(float("nan")) == ""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.95, 0.85, 0.849], ["Best", "Excellent", "Good"]),
        ([0.75, 0.749, 0.6], ["Best", "Average", "Average"]),
        ([0.59, 0.3, 0.59], ["Best", "Poor", "Best"]),
        ([0.9], ["Excellent"]),
    ],
)
def test_rate_follows_the_stated_rule(values, words):
    assert tables._rate(pd.Series(values)).tolist() == words


def test_table_1_sets_the_papers_words_beside_those_of_the_rule(results):
    table = tables.table_1(results)
    assert len(table) == 24 and list(table["paper"])[:3] == ["Best", "Poor", "Average"]
    accuracy = table[table["criterion"] == "accuracy"]
    assert list(accuracy["rule: paper's numbers"]) == ["Best", "Good", "Excellent"]
    assert list(accuracy["rule: best"]) == ["Average", "", "Best*"]
    assert row(table, "precision", "hybrid")["rule: best"] == "Best"
    assert row(table, "rock", "hybrid")["rule: best"] == "Best"
    assert row(table, "pop", "hybrid")["rule: best"] == ""  # a genre that this corpus lacks
    results["pairwise"][0]["separable"] = True
    assert row(tables.table_1(results), "accuracy", "hybrid")["rule: best"] == "Best"


def test_table_1_rates_each_setting_by_itself(results):
    results["models"] |= {"cnn_paper": scores(0.86, 50), "rnn_tuned": scores(0.7, 90)}
    results["models"]["cnn"] = scores(0.9, 120)
    accuracy = row(tables.table_1(results), "accuracy")
    assert accuracy["rule: paper's setting"].tolist() == ["Excellent", "", ""]
    assert accuracy["rule: best"].tolist() == ["Best*", "", "Best*"]  # a tie


def test_a_shown_table_is_escaped():
    table = pd.DataFrame({"a": ["<b>"]}, index=pd.Index(["<i>"], name="model"))
    html = formatting.shown(table, "<u>").to_html()
    assert not {"<b>", "<i>", "<u>"} & set(html.replace(">", "> ").split())
    assert "model" in html and "&lt;u&gt;" in html


def test_table_1_with_one_or_no_model_compares_nothing(results):
    for name in ("hybrid", "cnn"):
        del results["models"][name]
        ours = tables.table_1(results).get("rule: best", pd.Series(dtype=str))
        assert not ours.str.startswith("Best").any()


@quick
@given(counts)
def test_macro_f1_never_exceeds_its_bound(cells):
    found = metrics.metrics_from_confusion(np.reshape(cells, (4, 4)))
    assume(found["precision"] + found["recall"] > 0)
    assert found["f1"] <= published.f1_bound(found["precision"], found["recall"]) + 1e-12


@quick
@given(counts)
def test_accuracy_lies_within_recalls_precisions_and_f1(cells):
    confusion = np.reshape(cells, (4, 4))
    found = metrics.metrics_from_confusion(confusion)
    true, given = confusion.sum(axis=1), confusion.sum(axis=0)
    assume(true.all())
    for name, weights in (("recall", true), ("precision", given), ("f1", true + given)):
        mean = np.average(found[f"genre_{name}"], weights=weights)
        assert mean == pytest.approx(found["accuracy"])


@quick
@given(counts, st.sampled_from(["recall", "accuracy"]))
def test_audit_never_accuses_a_real_confusion_matrix(cells, reading):
    found = metrics.metrics_from_confusion(np.reshape(cells, (4, 4)))
    assume(found["support"].all() and found["precision"] + found["recall"] > 0.02)
    row = {label: found[key] for key, label in published.METRICS.items()}
    row |= dict(zip(published.GENRES, found[f"genre_{reading}"], strict=True))
    table = pd.DataFrame([row, row, row], index=model_names.PAPER_MODELS, dtype=float).round(2)
    checked = published.check_arithmetic(table)
    apply = ~checked["claim"].str.contains(
        "against the rest" if reading == "recall" else "as recalls"
    )
    assert (checked.loc[apply, "verdict"] == "consistent").all()


def test_audit_finds_what_is_wrong_with_the_paper():
    checked = published.check_arithmetic().set_index(["model", "claim"])
    bad = checked["verdict"] == "inconsistent"
    claims = checked.index.get_level_values("claim")
    expected = {
        "macro F1": ["cnn", "hybrid"],
        "precisions or F1": ["rnn"],
        "against the rest": ["cnn", "rnn", "hybrid"],
        "macro recall": ["cnn", "hybrid"],
        "lowest in": ["hybrid", "hybrid"],
    }
    for words, models in expected.items():
        found = checked[bad & claims.str.contains(words)]
        assert found.index.get_level_values("model").tolist() == models
    lowest = checked.loc[("hybrid", "text: the hybrid is lowest in recall"), "verdict"]
    assert lowest == "consistent"
    assert checked.loc[("cnn", "macro F1 within 2PR/(P+R)"), "highest"] == pytest.approx(
        0.8098, abs=1e-4
    )
    said = sentences.arithmetic(published.check_arithmetic())
    assert said.startswith("Of 15 checks") and "10 fail" in said
    assert "F1 of the CNN and the hybrid" in said and "accuracy of the RNN is below" in said
