"""What models cost beside what they are worth."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.evaluation import comparisons
from genre_utils.report.sentences import experiments as experiments_sentences

scores = st.lists(st.sampled_from([0.5, 0.6, 0.7]), min_size=1, max_size=6)


@given(scores, st.data())
def test_the_front_is_what_nothing_beats(accuracy, data):
    values = st.sampled_from([1.0, 2.0, 3.0, np.nan])
    cost = data.draw(st.lists(values, min_size=len(accuracy), max_size=len(accuracy)))
    for k, found in enumerate(comparisons._on_front(np.array(accuracy), np.array(cost))):
        beaten = any(
            a >= accuracy[k] and c <= cost[k] and (a > accuracy[k] or c < cost[k])
            for a, c in zip(accuracy, cost, strict=True)
        )
        assert found == (np.isfinite(cost[k]) and not beaten)


def result(accuracy, seconds, parameters=None):
    limits = [accuracy - 0.1, accuracy + 0.1]
    return {"accuracy": accuracy, "ci95": {"accuracy": limits}, "training_cpu_seconds": seconds,
            "parameters": parameters}  # fmt: skip


def test_the_cheapest_that_is_as_good_is_named():
    results = {
        "models": {
            "cnn": result(0.8, 100.0, 10),
            "svm": result(0.78, 5.0),
            "rnn": result(0.5, 1.0, 5),
        },
        "pairwise": [
            {"a": "cnn", "b": "svm", "separable": False},
            {"a": "cnn", "b": "rnn", "separable": True},
            {"a": "rnn", "b": "svm", "separable": True},
        ],
    }
    table = comparisons.costs(results)
    assert list(table["on_front_training_cpu_seconds"]) == [True, True, True]
    assert list(table["on_front_parameters"]) == [True, False, True]
    said = experiments_sentences.costs(results)
    assert "not significantly different, `svm`, takes 5 s" in said
    titles = results | {"models": results["models"] | {"audio_text": result(0.9, 0.5)}}
    said = experiments_sentences.costs(titles)
    assert "best by sound, `cnn`" in said and "`svm`, takes 5 s" in said
    searched = results | {"models": results["models"] | {"svm_tuned": result(0.9, 0.5)}}
    said = experiments_sentences.costs(searched)
    assert "`svm_tuned`, takes under a second of CPU" in said and "(without the search" in said
    cheap = {"cnn": result(0.8, 100.0, 10), "svm_tuned": result(0.78, 5.0)}
    said = experiments_sentences.costs({"models": cheap, "pairwise": []})
    assert said.endswith("`svm_tuned`, takes 5 s (without the search of its settings).")
    results["pairwise"][0]["separable"] = True
    assert "every cheaper model is significantly less" in experiments_sentences.costs(results)
    alone = {"models": {"svm": result(0.8, 1.0)}, "pairwise": []}
    assert "no second model" in experiments_sentences.costs(alone)
