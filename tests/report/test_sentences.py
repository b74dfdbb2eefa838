"""What the report says is what was found."""

import re
from types import SimpleNamespace

import pandas as pd
import pytest

from genre_utils.report import sentences

ROWS = pd.DataFrame(
    [(0.69, 0.58, 0.78, 8, 32.0), (0.67, 0.56, 0.77, 1, 90.0)],
    columns=["whole tracks", "low", "high", "epochs", "CPU time (s)"],
    index=["cnn", "cnn_paper"],
)


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


@pytest.mark.parametrize("unsure", [True, False])
def test_a_model_that_is_sure_of_two_genres_at_once_fails(unsure):
    said = sentences.blended("cnn", {"confidence": 0.493, "uncertain": unsure})
    assert "0.49" in said and ("failure" in said) != unsure


def told(known, unknown=0, groups=None, **more):
    """Summary of a corpus of two genres, without mark-up."""
    described = {"name": "spectrograms", "tracks": 20, "set_aside": 0, "folds": 10}
    described["genres"] = ["rock", "jazz"]
    described |= {"protocol": "cv", "group_by": "artist", "artists": known + unknown, **more}
    rows = [(10, known, unknown), (10, 0, 0)]
    columns = ["tracks", "known artists", "tracks of unknown artist"]
    counts = pd.DataFrame(rows, columns=columns, index=["rock", "jazz"])
    return sentences.corpus(described, counts, groups or known + unknown, 10)


def test_numbers_of_artists_and_groups_agree():
    said = told(known=39, unknown=16, groups=53)
    assert "two genres (rock, jazz)" in said and "The corpus has ten genres in all." in said
    assert "39 known artists and 16 tracks of unknown artist (one group each)" in said
    assert "which makes 53 groups" in said and "0 tracks were excluded." in said
    alone = told(known=12, set_aside=1)
    assert "by 12 known artists" in alone and "1 track was excluded." in alone
    assert "groups" not in alone and "Counted" not in alone
    assert "by 11 known artists" in told(known=12, artists=11)
    assert "the known artists are 12." in told(known=12, artists=11)


def test_a_split_by_track_or_by_the_corpus_is_said():
    assert "whose artists may be in both" in told(known=5, group_by="track")
    assert "the corpus's own split" in told(known=5, protocol="fixed")


def test_the_best_classical_model_is_named_with_its_interval():
    rows = {"svm": (0.8, 0.7, 0.9), "knn": (0.7, 0.6, 0.8)}
    table = pd.DataFrame.from_dict(rows, "index", columns=["accuracy", "low", "high"])
    ranked = pd.DataFrame({"score": 46.2, "rank_low": 1.0, "rank_high": 98.0}, ["tempo, SD", "b"])
    said = sentences.baseline(ranked, table, 4, "artist").replace("\N{NO-BREAK SPACE}", " ")
    assert (
        said.startswith("Of 2 statistics of features, *tempo, SD* separates") and "1 to 98" in said
    )
    assert "`svm`" in said and "**80 %**" in said and "70 % to 90 %" in said and "25 %" in said
    assert "may have met" in sentences.baseline(ranked, table, 4, "track")
    assert "model" not in sentences.baseline(ranked, table[:0], 4, "artist")


def test_the_price_of_leakage_is_split_between_recording_and_artist():
    pairs = {("segment", "track"): 1 / 3, ("segment", "artist"): 0.3125, ("track", "artist"): -0.02}
    pairwise = [
        {"a": a, "b": b, "difference": value, "separable": value > 0}
        for (a, b), value in pairs.items()
    ]
    told = sentences.price_of_leakage({"segment": 0.95, "artist": 0.6375, "pairwise": pairwise})
    numbers = re.findall("\N{MINUS SIGN}?[0-9]+", told)
    assert numbers == ["95", "64", "31", "33", "\N{MINUS SIGN}2", "0"]


def test_networks_are_told_with_intervals_chance_and_cpu_time():
    said = plain(sentences.networks(ROWS, 4, "artist"))
    assert "`cnn` classifies **69 %** of whole tracks correctly, by artists that it has" in said
    assert "(95 % interval 58 % to 78 %; chance level 25 %)" in said
    assert "`cnn_paper`) **67 %** (95 % interval 56 % to 77 %)" in said
    assert "32 s of CPU time over all folds, in a median of 8 epochs" in said
    assert "(`cnn_paper`: 1.5 min, 1 epoch)" in said
    alone = plain(sentences.networks(ROWS.iloc[:1], 4, "track"))
    assert "may have met" in alone and "paper" not in alone


def test_differences_are_told_by_the_model_that_they_are_of():
    change = {"difference": -0.08, "low": -0.16, "high": 0.01}
    said = plain(sentences.differences({("rnn", "cnn"): change, ("rnn", "gru"): change}))
    assert "`rnn` minus `cnn` -8 points (-16 to 1), `rnn` minus `gru` -8 points" in said
    assert sentences.differences({}) == ""


def test_what_is_gained_is_significant_or_not():
    def said(low, high):
        change = {"difference": (low + high) / 2, "low": low, "high": high}
        return plain(sentences.gained("Recurrence", change))

    assert said(-0.05, 0.01).startswith("Recurrence brings nothing significant: -2 points (-5 to 1")
    assert said(0.01, 0.05).startswith("Recurrence brings a significant gain: 3 points (1 to 5")
    assert "a significant loss" in said(-0.05, -0.01)


@pytest.mark.parametrize(("p", "said"), [(0.4, "do not differ"), (0.0004, "differ")])
def test_titles_that_add_nothing_are_told_so(p, said):
    rows = {"text": (0.19, 0.15, 0.23), "logistic": (0.71, 0.6, 0.8)}
    table = pd.DataFrame.from_dict(rows, "index", columns=["whole tracks", "low", "high"])
    change = {"difference": 0.01, "low": -0.01, "high": 0.03, "p_value": p}
    told = sentences.text_beside_sound(table, {("audio_text", "logistic"): change}, 10)
    assert "`text` **19\N{NO-BREAK SPACE}%** (95\N{NO-BREAK SPACE}% interval 15" in told
    assert "chance level 10" in told and "titles are worth 1 point (\N{MINUS SIGN}1 to 3)" in told
    assert f"`audio_text` and `logistic` {said} significantly" in told
    assert "Beside" not in sentences.text_beside_sound(table, {}, 10)
    tracks = pd.DataFrame({"title": ["A", "", "B"], "album": [None, "", ""]})
    told = plain(sentences.words_read(tracks, table, 2))
    assert "Of 3 tracks 2 have a title and none an album. On the 2 whose words" in told
    assert "`text` **19 %** (95 % interval 15" in told and "the other 1 get" in told
    assert "other" not in sentences.words_read(tracks, table, 3)


def test_overfitting_is_told_where_there_is_a_validation_part():
    gap = pd.Series({"accuracy": 0.63, "val_accuracy": 0.67, "gap": -0.04})
    assert "`rnn` classifies 63 %" in plain(sentences.overfitting("rnn", gap))
    assert "of -4 points" in plain(sentences.overfitting("rnn", gap))
    gap["val_accuracy"] = gap["gap"] = float("nan")
    assert "gap" not in sentences.overfitting("rnn", gap)


ABOUT = {
    "labels": ["rock", "pop"],
    "accuracy": {"value": 0.856, "ci95": [0.77, 0.913]},
    "abstain": {"below": 0.7, "coverage": 0.8, "accuracy": 0.92, "ci95": [0.84, 0.96]},
    "unlike": {"false_alarms": 0.056},
}


def heard(confidence, unsure, unlike):
    one = {"predicted_label": "pop", "confidence": confidence, "distance": 1.0}
    return one | {"uncertain": unsure, "unlike_training": unlike}


def test_a_confidence_that_stays_high_through_noise_is_called_a_failure():
    found = {"noise": heard(0.99, False, True), "a siren": heard(0.3, True, False)}
    said = sentences.strange("cnn", found, ABOUT)
    assert "`cnn` is not low for noise (pop, 0.99): a failure" in said and "siren" not in said
    assert "calls 1 of 2 unlike its training, and 6\N{NO-BREAK SPACE}% of its own" in said
    assert "nothing warns" in sentences.strange("cnn", {"hum": heard(0.9, False, False)}, ABOUT)
    assert "a failure" in sentences.unsure("cnn", ABOUT, found)
    calm = {"a siren": found["a siren"]}
    for said in (sentences.strange("cnn", calm, ABOUT), sentences.unsure("cnn", ABOUT, calm)):
        assert "failure" not in said


def test_how_often_a_recogniser_is_right_is_told_with_its_interval():
    said = sentences.accuracy("cnn", ABOUT).replace("\N{NO-BREAK SPACE}", " ")
    assert "`cnn` is right on 86 % (95 % interval 77 % to 91 %) among 2 genres" in said
    assert said.count("among 2 genres") == 1
    assert sentences.accuracy("cnn", ABOUT, "other", ABOUT).count("among 2 genres") == 2
    assert "no evidence" in sentences.recognised("cnn", 3, 8, "learned")
    assert sentences.recognised("cnn", 3, 8, "new").endswith("3 of 8 new composed pieces.")
    answer = SimpleNamespace(label="blues", confidence=0.36, uncertain=True, unlike_training=True)
    said = sentences.foreign("jazz", answer)
    assert "blues with a confidence of 0.36 (*unsure*) for" in said and "no evidence" in said
    assert "rules of jazz, and finds it unlike its training" in said


def test_frequencies_are_told_where_both_methods_find_them():
    rows = [("rock", "cnn", "a", 0.2, 0.1), ("rock", "hybrid", "b", 0.4, -0.1)]
    rows.append(("pop", "cnn", None, None, None))
    columns = ["genre", "network", "name", "share", "level"]
    said = sentences.listening(pd.DataFrame(rows, columns=columns))
    assert "for rock b (`hybrid`, 40\N{NO-BREAK SPACE}%, though it is quieter there" in said
    assert "No part" in sentences.listening(pd.DataFrame(rows[2:], columns=columns))


def pairs_of_best(alike, worse):
    for names, apart in ((alike, False), (worse, True)):
        yield from ({"a": name, "b": "best", "separable": apart} for name in names)


@pytest.mark.parametrize(
    ("alike", "worse", "said"),
    [
        ([], [], "chance level 50 %)."),
        (["a", "b"], [], "None of the 2 others differs significantly from it."),
        ([], ["a", "b"], "It is significantly ahead of all 2 others (each at p"),
        (["a", "b"], ["c"], "Of the others, only `c` is significantly behind (each at p"),
        (
            ["a", "b", "c", "d"],
            ["e", "f", "g"],
            "only `e`, `f` and `g` are significantly behind",
        ),
        (["a"], ["b", "c"], "All others but `a` are significantly behind (each"),
    ],
)
def test_the_best_model_is_told_with_what_it_is_not_different_from(alike, worse, said):
    corpus = {"group_by": "artist", "genres": ["rock", "jazz"]}
    models = {
        name: {"accuracy": value, "ci95": {"accuracy": [value - 0.1, value + 0.1]}}
        for name, value in (("rnn", 0.5), ("best", 0.8))
    }
    pairs = [*pairs_of_best(alike, worse), {"a": "rnn", "b": "other", "separable": True}]
    found = {"corpus": corpus, "models": models, "pairwise": pairs}
    told = plain(sentences.best_model(found))
    assert told.startswith("`best` classifies **80 %** of whole tracks correctly, by artists that")
    assert "95 % interval 70 % to 90 %" in told and said in told


@pytest.mark.parametrize(("by_titles", "told"), [(0.9, True), (0.8, False)])
def test_a_model_that_reads_titles_is_beside_the_best_by_sound(by_titles, told):
    models = {
        name: {"accuracy": value, "ci95": {"accuracy": [value - 0.1, value + 0.1]}}
        for name, value in (("cnn", 0.8), ("audio_text", by_titles), ("text", 0.95))
    }
    corpus = {"group_by": "artist", "genres": ["rock", "jazz"]}
    pair = {"a": "cnn", "b": "audio_text", "difference": -0.1, "ci95": [-0.2, 0.01]}
    pair |= {"separable": False, "only_a": 1, "only_b": 3}
    found = {"corpus": corpus, "models": models, "pairwise": [pair]}
    said = plain(sentences.best_model(found))
    assert said.startswith("By sound alone, `cnn` classifies **80 %**") and "others" not in said
    more = "`audio_text` gets 90 % (95 % interval 80 % to 100 %), 10 points (-1 to 20) more, which"
    assert (f"{more} is not significant." in said) == told


def test_nobody_is_told_of_leakage_that_was_not_measured():
    assert sentences.leakage(None) == "" == sentences.leakage({"segment": None})


def test_moments_are_told_where_their_share_is_more_than_even():
    rows = [("cnn", 0, 0.4, 0.3), ("cnn", 1, 0.6, 0.4), ("rnn", 0, 0.2, 0.1), ("rnn", 1, 0.8, 0.7)]
    found = pd.DataFrame(rows, columns=["network", "part", "share", "low"])
    said = sentences.moments(found, 6.0)
    assert said == "`rnn` rests most on seconds 3 to 6 (80\N{NO-BREAK SPACE}%)."
    assert sentences.moments(found[:2], 6.0).startswith("No moment")


def found(**more):
    """Results of three models: the first two equal, the last significantly behind."""
    accuracy = {"cnn": 0.8, "svm": 0.8, "own_model": 0.5, "rnn": 0.75}
    models = {
        name: {"accuracy": value, "ci95": {"accuracy": [value - 0.1, value + 0.1]}}
        for name, value in accuracy.items()
    }
    pairs = [{"a": a, "b": "own_model", "separable": True} for a in ("cnn", "svm", "rnn")]
    pairs += [{"a": "cnn", "b": "svm", "separable": False}]
    pairs += [{"a": "rnn", "b": "cnn", "separable": False}]
    corpus = {"genres": ["jazz", "rock"], "group_by": "artist"}
    return {"corpus": corpus, "models": models, "pairwise": pairs, "leakage": None} | more


def test_parts_that_took_part_in_no_choice_have_a_sentence_each():
    rows = [("cnn", 0.7), ("svm", 0.9), ("rnn", 0.5)]
    parts = pd.DataFrame(rows, columns=["model", "accuracy"]).assign(low=0.4, high=0.95, tracks=9)
    both = pd.concat([parts.assign(part="train"), parts.assign(part="valid")])
    results = found(corpus={"name": "spectrograms", "title": "GTZAN"})
    said = sentences.untouched(results, both).replace("\N{NO-BREAK SPACE}", " ")
    assert said.startswith("Of the 9 tracks of the part *valid*,") and "train" not in said
    assert "`cnn` recognises **70 %**" in said and "`svm` the most, 90 %" in said
    assert "no model more" in sentences.untouched(results, both[both["model"] != "svm"])
    other = found(corpus={"name": "folder"})
    assert sentences.untouched(results, both[:0]) == "" == sentences.untouched(other, both)


def test_leakage_is_told_where_all_of_it_was_measured():
    pair = {"a": "segment", "b": "artist", "difference": 0.2, "ci95": [0.1, 0.3]}
    price = {"segment": 0.9, "track": 0.8, "artist": 0.7, "pairwise": [pair]}
    assert "20 points (10 to 30)" in sentences.leakage(price)
    assert sentences.leakage(None) == sentences.leakage(price | {"track": None}) == ""


def test_what_is_not_significant_after_correction_is_called_so():
    rows = [("cnn", "noise", -0.2, 0.01, False), ("svm", "noise", -0.1, 0.3, False)]
    names = ["model", "change", "difference", "p_holm", "separable"]
    table = pd.DataFrame(rows, columns=names)
    table["low"] = table["difference_low"] = table["difference"] - 0.1
    table["high"] = table["difference_high"] = table["difference"] + 0.1
    said = sentences.robustness(table)
    assert said.startswith("Changes cost up to 20 points (10 to 30): `cnn`, noise.")
    assert "None is significant after correction over 2 tests" in said
    said = sentences.robustness(table.assign(separable=[False, True]))
    assert said.startswith("1 of 2") and "10 points (0 to 20): `svm`, noise" in said
    assert sentences.effects(table).endswith("after correction (Holm) none significant")
    assert sentences.effects(table.assign(separable=True)).endswith("all significant")


def test_denoising_is_told_where_it_helps_and_what_it_costs_untouched_recordings():
    rows = [
        ("untouched", float("inf"), "none", None, None, None),
        ("untouched", float("inf"), "stationary", -0.05, 0.3, False),
        ("hum", 10, "stationary", 0.2, 0.01, True),
        ("hum", 0, "stationary", 0.3, 0.01, True),
        ("crackle", 0, "non-stationary", -0.2, 0.01, True),
    ]
    columns = ["noise", "snr", "treatment", "difference", "p_holm", "separable"]
    table = pd.DataFrame(rows, columns=columns).assign(model="cnn", low=0.0, high=1.0)
    table["difference_low"] = table["difference"] - 0.1
    table["difference_high"] = table["difference"] + 0.1
    said = plain(sentences.denoising(table))
    assert said.startswith("Of 4 comparisons")
    assert "helps significantly in 2 (`cnn`, stationary: hum at 10 and 0 dB) and harms" in said
    assert "harms significantly in 1." in said
    assert "Untouched recordings, stationary denoising: -5 points (-15 to 5) for `cnn`" in said
    said = plain(sentences.denoising(table.assign(separable=False)))
    assert "it helps significantly in none and harms significantly in none." in said


def test_a_best_model_of_the_paper_is_compared_after_correction_with_the_papers_others():
    models = {"cnn": {"accuracy": 0.8, "ci95": {"accuracy": [0.7, 0.9]}}}
    corpus = {"group_by": "artist", "genres": ["rock", "jazz"]}
    pair = {"a": "cnn", "b": "rnn", "separable": True, "primary": True}
    said = sentences.best_model({"corpus": corpus, "models": models, "pairwise": [pair]})
    assert "the paper's pairs alone are corrected" in said
