import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from genre_utils import evaluation, paper

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
        "training_seconds": seconds,
        "hyperparameters": settings_ if seconds else {"C": 1.0},
    }


@pytest.fixture
def results():
    models = {"cnn": scores(0.7, 120), "hybrid": scores(0.9, 60), "svm": scores(0.6, None)}
    pair = {"a": "cnn", "b": "hybrid", "separable": False}
    other = {"a": "cnn", "b": "svm", "separable": True}
    return {"models": models, "pairwise": [pair, other], "corpus": {"genres": ["rock", "polka"]}}


def test_table_2_puts_the_paper_below_ours(results):
    table = paper.table_2(results)
    assert table.index.tolist() == [
        ("cnn", "this study"),
        ("cnn", "paper"),
        ("rnn", "paper"),
        ("hybrid", "this study"),
        ("hybrid", "paper"),
        ("svm", "this study"),
    ]
    assert table.loc[("cnn", "paper"), "accuracy"] == 0.92
    assert table.loc[("cnn", "this study"), "F1"] == results["models"]["cnn"]["f1"]
    assert table["training"].tolist() == ["2.0 min", "1.5 h", "2.0 h", "1.0 min", "1.8 h", ""]
    assert table.loc[("rnn", "paper"), "rock"] == 0.81
    assert pd.isna(table.loc[("rnn", "paper"), "polka"])
    assert table.loc[("cnn", "this study"), "polka"] == 0.5
    other = paper.table_2(results, per_genre="accuracy")
    assert other.loc[("cnn", "this study"), "polka"] == 0.9
    assert table["hidden layers"].tolist()[:5] == [4, 4, 3, 4, 5]
    assert pd.isna(table.loc[("svm", "this study"), "hidden layers"])


def test_with_intervals_is_the_same_table_as_text(results):
    text = paper.with_intervals(results)
    assert text.loc[("cnn", "this study"), "accuracy"] == "0.70 [0.60, 0.80]"
    assert text.loc[("cnn", "this study"), "polka"] == "0.50 [0.58, 0.78]"
    assert text.loc[("cnn", "paper"), "accuracy"] == "0.92"
    assert text.loc[("cnn", "paper"), "polka"] == ""
    assert list(text.columns) == list(paper.table_2(results).columns)


def test_as_text_without_an_interval_or_a_value():
    assert paper.as_text(0.5, None) == "0.50"
    assert paper.as_text(None) == paper.as_text(float("nan")) == ""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.95, 0.85, 0.849], ["Best", "Excellent", "Good"]),
        ([0.75, 0.749, 0.6], ["Best", "Average", "Average"]),
        ([0.59, 0.3, 0.59], ["Best", "Poor", "Best"]),
        ([0.9, np.nan, np.nan], ["Excellent", "", ""]),
        ([np.nan, np.nan, np.nan], ["", "", ""]),
    ],
)
def test_rate_follows_the_stated_rule(values, words):
    assert paper.rate(pd.Series(values)).tolist() == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.5, 2.0, 1.8], ["Best", "High", "Average"]),
        ([5, np.nan, 3], ["High", "", "Best"]),
        ([5, np.nan, np.nan], ["Average", "", ""]),
        ([2, 2, 2], ["Best", "Best", "Best"]),
    ],
)
def test_rate_time_follows_the_stated_rule(values, words):
    assert paper.rate_time(pd.Series(values, dtype=float)).tolist() == words


def test_table_1_marks_differences_and_an_unsure_best(results):
    table = paper.table_1(results)
    accuracy = table.loc["accuracy"]
    assert accuracy["paper"].tolist() == ["Best", "Good", "Excellent"]
    assert accuracy["this study"].tolist() == ["Average", "", "Best (not separable)"]
    assert accuracy["differs"].tolist() == [True, False, True]
    assert table.loc[("training time", "cnn"), "this study"] == "High"
    assert table.loc["precision", "this study"].tolist() == ["Average", "", "Best"]
    results["pairwise"][0]["separable"] = True
    assert paper.table_1(results).loc[("accuracy", "hybrid"), "this study"] == "Best"


def test_table_1_of_a_tie_marks_both_and_the_sign_is_no_difference(results):
    results["models"]["cnn"] = scores(0.9, 120)
    table = paper.table_1(results).loc["accuracy"]
    assert table["this study"].tolist() == ["Best (not separable)", "", "Best (not separable)"]
    assert table["differs"].tolist() == [False, False, True]


def test_table_1_with_one_or_no_model_compares_nothing(results):
    for name in ("hybrid", "cnn"):
        del results["models"][name]
        assert not paper.table_1(results)["this study"].str.startswith("Best").any()


@quick
@given(counts)
def test_macro_f1_never_exceeds_its_bound(cells):
    found = evaluation.metrics_from_confusion(np.reshape(cells, (4, 4)))
    assume(found["precision"] + found["recall"] > 0)
    assert found["f1"] <= paper.f1_bound(found["precision"], found["recall"]) + 1e-12


@quick
@given(counts)
def test_accuracy_lies_within_recalls_precisions_and_f1(cells):
    confusion = np.reshape(cells, (4, 4))
    found = evaluation.metrics_from_confusion(confusion)
    true, guessed = confusion.sum(axis=1), confusion.sum(axis=0)
    assume(true.all())
    for name, weights in (("recall", true), ("precision", guessed), ("f1", true + guessed)):
        mean = np.average(found[f"genre_{name}"], weights=weights)
        assert mean == pytest.approx(found["accuracy"])


@quick
@given(counts, st.sampled_from(["recall", "accuracy"]))
def test_audit_never_accuses_a_real_confusion_matrix(cells, reading):
    found = evaluation.metrics_from_confusion(np.reshape(cells, (4, 4)))
    assume(found["support"].all() and found["precision"] + found["recall"] > 0.02)
    row = {label: found[key] for key, label in paper.METRICS.items()}
    row |= dict(zip(paper.GENRES, found[f"genre_{reading}"], strict=True))
    table = pd.DataFrame([row, row, row], index=paper.MODELS, dtype=float).round(2)
    checked = paper.audit(table)
    apply = ~checked["claim"].str.contains(
        "against the rest" if reading == "recall" else "as recalls"
    )
    assert (checked.loc[apply, "verdict"] == "consistent").all()


def test_audit_finds_what_is_wrong_with_the_paper():
    checked = paper.audit().set_index(["model", "claim"])
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
