"""The verdicts on the paper's claims follow from their rules, and from real music alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.evaluation import comparisons, intervals, power, study_results
from genre_utils.experiments import ablation, measurements
from genre_utils.paper import claims, published
from genre_utils.report import sentences
from genre_utils.workspace import model_names
from genre_utils.workspace.study_folder import StudyFolder

ARTISTS, TRACKS = 10, 4  # of each genre, by each artist
HASHES = {"features": "0", "folds": "1", "genres": "2", "code": "3"}


@pytest.fixture(autouse=True)
def quick_results(monkeypatch):
    """Results without what takes most of their time and no verdict needs."""
    monkeypatch.setattr(power, "of_pairs", lambda *_: [])
    monkeypatch.setattr(study_results, "environment", dict)


def tracks_of(genres=published.GENRES):
    rows = [
        (f"{genre}/{artist:02d}-{n}", genre, f"{genre} {artist}", n)
        for genre in genres
        for artist in range(ARTISTS)
        for n in range(TRACKS)
    ]
    return pd.DataFrame(rows, columns=["track_id", "genre", "artist", "n"])


def predicted(tracks, right):
    """Predictions of full confidence, and right where `right` (tracks,) says so."""
    genres = list(tracks["genre"].unique())
    true = tracks["genre"].map(genres.index).to_numpy()
    given = np.where(right, true, (true + 1) % len(genres))
    table = tracks[["track_id"]].assign(excerpt=0, fold=0, y_true=tracks["genre"])
    table[[f"p_{genre}" for genre in genres]] = np.eye(len(genres))[given]
    return table


def write(study, name, right, *, seconds=(10.0, 11.0, 12.0), hashes=HASHES):
    folds = [{"fold": k, "seconds": s, "cpu_seconds": 2 * s} for k, s in enumerate(seconds)]
    run = {"model": name, "hyperparameters": {}, "folds": folds, "hashes": hashes}
    study.write_model(name, predicted(study.tracks, right), run)


@pytest.fixture
def study(tmp_path):
    """40 artists; every model is right on three of four tracks of each."""
    study, tracks = StudyFolder(tmp_path), tracks_of()
    folds = tracks[["track_id"]].assign(fold=0, part="test", group=tracks["artist"])
    corpus = {"name": "folder", "synthetic": False, "genres": list(published.GENRES)}
    corpus |= {"group_by": "artist", "protocol": "cv"}
    study.write(tracks=tracks, folds=folds, corpus=corpus, features={"sha256": "0"})
    for name in (*model_names.PAPER_MODELS, "mlp", "fusion"):
        write(study, name, tracks["n"] < 3)
    return study


def judged(study, profile="gtzan-mel"):
    """Claims by their text, and the whole audit."""
    found = claims.audit(study_results.results(study, profile), study)
    return {one["claim"]: one for one in found["claims"]}, found


def n_of(study):
    return study.tracks["n"]


@pytest.mark.parametrize(
    ("cnn", "hybrid", "verdict"),
    [(4, 2, "reproduced"), (2, 4, "not reproduced"), (3, 3, "not significantly different")],
)
def test_an_order_needs_a_difference_in_its_direction(study, cnn, hybrid, verdict):
    write(study, "cnn", n_of(study) < cnn)
    write(study, "hybrid", n_of(study) < hybrid)
    found, _ = judged(study)
    assert found["The CNN is ahead of the hybrid."]["verdict"] == verdict
    assert found["The CNN is ahead of the hybrid."]["value"] == pytest.approx((cnn - hybrid) / 4)
    assert found["The CNN is ahead of the hybrid."]["tests"] == 3  # Holm, the paper's pairs


def test_the_best_genre_is_the_one_of_significantly_higher_recall(study):
    tracks = study.tracks
    rock, jazz = tracks["genre"] == "rock", tracks["genre"] == "jazz"
    write(study, "cnn", rock | (tracks["n"] < 2))
    write(study, "hybrid", ~jazz & (tracks["n"] < 3))
    found, _ = judged(study)
    cnn, hybrid = found["The CNN recognises rock best."], found["The hybrid recognises jazz best."]
    assert cnn["verdict"] == "reproduced" and cnn["value"] == pytest.approx(0.5)
    assert 0 < cnn["ci95"][0] < 0.5 < cnn["ci95"][1]
    assert hybrid["verdict"] == "not reproduced"
    rnn = found["The RNN recognises classical best."]  # all genres are equal
    assert rnn["verdict"] == "not significantly different" and rnn["value"] == 0


def test_the_pair_that_decides_is_told(study):
    write(study, "rnn", n_of(study) < 2)
    write(study, "hybrid", n_of(study) < 1)
    recall = judged(study)[0]["The RNN has the highest recall."]
    assert recall["verdict"] == "not reproduced" and recall["tests"] == 2
    assert recall["found"].startswith("\N{MINUS SIGN}0.25 [") and "against CNN" in recall["found"]
    write(study, "rnn", n_of(study) < 4)
    recall = judged(study)[0]["The RNN has the highest recall."]
    assert recall["verdict"] == "reproduced" and recall["tests"] is None
    assert "against CNN" in recall["found"] and recall["value"] == pytest.approx(0.25)


def test_one_test_counts_once(study):
    rng, tracks = np.random.default_rng(0), study.tracks
    for name in (*model_names.PAPER_MODELS, "mlp", "fusion"):
        skill = tracks["genre"].map(dict(zip(published.GENRES, rng.uniform(size=4), strict=True)))
        write(study, name, rng.uniform(size=len(tracks)) < skill, seconds=rng.uniform(size=3))
    tested = [one for one in judged(study)[1]["claims"] if one["verdict"] != "not measured"]
    assert len(tested) == 12 and len({str(one["ci95"]) for one in tested}) == len(tested)


@pytest.mark.parametrize(
    ("cnn", "hybrid", "verdict"),
    [
        ((10, 11, 12), (20, 21, 23), "reproduced"),
        ((20, 21, 23), (10, 11, 12), "not reproduced"),
        ((10, 11, 12), (30, 1, 9), "not significantly different"),
        ((10,), (20,), "not measured"),
    ],
)
def test_training_times_are_compared_fold_by_fold(study, cnn, hybrid, verdict):
    for name, seconds in (("cnn", cnn), ("hybrid", hybrid)):
        write(study, name, n_of(study) < 3, seconds=seconds)
    claim = judged(study)[0]["The CNN trains faster than the hybrid."]
    assert claim["verdict"] == verdict
    assert claim["p"] is None or (claim["p"] < 0.05) == (verdict != "not significantly different")
    assert claim["value"] is None or claim["found"].split()[1] == "s"  # hours are not compared


def test_handcrafted_features_beside_learned_ones(study):
    write(study, "fusion", n_of(study) < 4)
    found, _ = judged(study)
    verdicts = {c: one["verdict"] for c, one in found.items() if one["topic"] == "Features"}
    assert list(verdicts.values()) == ["reproduced", "reproduced"]


def put(study, label, right, **variant):
    described = {"label": label, "title": label, **variant}
    predictions = predicted(study.tracks, right)
    measurements.store(study, "ablation", label, "key", predictions, variant=described)


def test_changes_are_judged_by_what_was_measured(study):
    n = n_of(study)
    put(study, "hybrid", n < 3)
    put(study, "hybrid_no_l2", n < 2, against="hybrid", question=ablation.REGULARISATION)
    put(study, "hybrid_no_dropout", n < 4, against="hybrid", question=ablation.REGULARISATION)
    put(study, "baseline", n < 3)
    put(study, "in_training", n < 3, against="baseline", question=ablation.TRAINING)
    found, _ = judged(study)
    assert found["L2 helps the hybrid."]["verdict"] == "reproduced"
    assert found["L2 helps the hybrid."]["value"] == pytest.approx(0.25)
    assert found["Dropout helps the hybrid."]["verdict"] == "not reproduced"
    changed = found["Changing the spectrograms in training helps."]
    assert changed["verdict"] == "not significantly different" and changed["value"] == 0
    assert changed["tests"] == 1 and found["L2 helps the hybrid."]["tests"] == 2


def test_the_rate_of_the_paper_has_to_beat_every_other_that_was_tried(study):
    tracks = study.tracks
    n, classical = tracks["n"], tracks["genre"] == "classical"
    put(study, "rnn", classical | (n < 2))
    for label in ("rnn_0.001", "rnn_0.02"):
        put(study, label, n < 2, against="rnn", question=ablation.RATE)
    found, _ = judged(study)
    best, for_classical = (one for one in found.values() if one["topic"] == "Learning rate")
    assert best["verdict"] == "reproduced" and for_classical["verdict"] == "reproduced"
    assert best["value"] == pytest.approx(0.125) and for_classical["value"] == pytest.approx(0.5)
    put(study, "rnn_0.02", n < 4, against="rnn", question=ablation.RATE)
    found, _ = judged(study)
    assert found["A learning rate of 0.005 suits the RNN best."]["verdict"] == "not reproduced"


def test_what_was_not_measured_says_what_measures_it(study):
    found, _ = judged(study)
    needs = found["L2 helps the hybrid."]["needs"]
    assert needs == "the profile gtzan-mel with MEASURE=true"
    other, _ = judged(study, profile="mine")
    assert other["L2 helps the hybrid."]["needs"] == "the profile mine with MEASURE=true"
    (study.path / "runs" / "cnn.json").unlink()
    found, _ = judged(study)
    assert found["The CNN is ahead of the hybrid."]["needs"] == "cnn among MODELS"
    assert found["The hybrid is ahead of the RNN."]["verdict"] == "not significantly different"


def test_chroma_needs_recordings(study):
    study.write(corpus=study.corpus | {"name": "spectrograms"})
    found, _ = judged(study)
    assert "recordings" in found["Chroma tells a CNN more than MFCC alone."]["needs"]


def test_nothing_is_to_be_tried_out_on_held_out_tracks(study):
    study.write(corpus=study.corpus | {"protocol": "fixed"})
    found, whole = judged(study)
    assert found["L2 helps the hybrid."]["needs"].startswith("folds")
    assert not any("MEASURE" in (one["needs"] or "") for one in whole["claims"])


def test_models_of_other_features_are_not_compared(study):
    write(study, "cnn", n_of(study) < 4, hashes=HASHES | {"features": "other"})
    found, _ = judged(study)
    claim = found["The CNN is ahead of the hybrid."]
    assert claim["verdict"] == "not measured" and "on the same features" in claim["needs"]
    assert (
        found["The CNN recognises rock best."]["verdict"] == "not significantly different"
    )  # needs no other


def test_other_genres_leave_out_what_is_about_the_papers(study):
    tracks = tracks_of(["salsa", "tango"])
    folds = tracks[["track_id"]].assign(fold=0, part="test", group=tracks["artist"])
    corpus = study.corpus | {"genres": ["salsa", "tango"]}
    study.write(corpus=corpus, tracks=tracks, folds=folds)
    for name in (*model_names.PAPER_MODELS, "mlp", "fusion"):
        write(study, name, tracks["n"] < 3)
    found, whole = judged(study)
    assert "This study has 2, of which 0 are the paper's" in whole["note"]
    assert found["The CNN recognises rock best."]["verdict"] == "not measured"
    assert found["The hybrid is ahead of the RNN."]["verdict"] == "not significantly different"


@pytest.mark.parametrize("change", [{"synthetic": True}, {"group_by": "track"}])
def test_composed_music_and_shared_artists_give_no_verdict(study, change, monkeypatch):
    results = study_results.results(study, "demo")
    results["corpus"] |= change
    monkeypatch.setattr(claims, "_evidence", lambda *_: pytest.fail("judged"))
    found = claims.audit(results, study)
    assert not found["evidence"] and found["why"] == sentences.counted(found)
    assert {one["verdict"] for one in found["claims"]} == {None}


def test_tracks_whose_artists_are_all_unknown_give_no_verdict(study):
    tracks = study.tracks
    study.write(tracks=tracks.assign(artist="unknown:" + tracks["track_id"]))
    assert judged(study)[1]["evidence"] is False


def test_the_counts_are_those_of_the_claims(study):
    found, whole = judged(study)
    verdicts = [one["verdict"] for one in found.values()]
    assert len(verdicts) == len(whole["claims"]) and set(verdicts) <= set(claims._VERDICTS)
    said = sentences.counted(whole)
    assert f"Of {len(found) - verdicts.count('not measured')} claims" in said
    assert f"contradicts {verdicts.count('not reproduced')};" in said
    kinds = {"pair", "highest", "change", "time"}
    assert {one["rule"] for one in whole["claims"]} == kinds
    assert whole["arithmetic"] == {"checked": 15, "inconsistent": 10} and whole["note"] == ""
    assert judged(study)[1] == whole  # no chance in it


def test_judged_claims_are_shown_by_verdict_and_the_others_in_one_line(study):
    write(study, "fusion", n_of(study) < 4)
    _, whole = judged(study)
    shown, untested = claims.judged(whole), sentences.untested_claims(whole)
    assert shown["verdict"].tolist() == [
        *("reproduced (2)", ""),
        *("not significantly different (10)", *[""] * 9),
    ]
    assert (shown["p"] != "").all() and set(shown["tests"]) == {"", 2, 3}
    assert untested.metadata["absent"]
    assert untested.data.count("the profile gtzan-mel with MEASURE=true") == 1
    assert "9 of the paper's claims, about input, regularisation, learning rate" in untested.data
    nobody = whole | {"claims": [one | {"verdict": None} for one in whole["claims"]]}
    assert claims.judged(nobody).empty and sentences.untested_claims(nobody) is None


@given(st.integers(0, 99), st.integers(2, 12), st.integers(1, 9))
def test_two_cannot_both_be_the_highest(seed, artists, tracks):
    rng = np.random.default_rng(seed)
    wholes, ones = np.full((artists, 1), float(tracks)), np.ones(1)
    skills = rng.uniform(size=3)
    ratios = {
        name: (rng.binomial(tracks, skill, (artists, 1)).astype(float), wholes, ones)
        for name, skill in zip("abc", skills, strict=True)
    }
    found = [claims._compared(ratios, name) for name in ratios]
    assert [one["verdict"] for one in found].count("reproduced") <= 1
    for one in found:
        low, high = one["ci95"]
        assert low <= one["value"] <= high
        assert (one["p"] < 0.05) == (one["verdict"] != "not significantly different")
        assert one["tests"] == (None if one["value"] > 0 else 2)
        assert one["verdict"] == "not significantly different" or low > 0 or high < 0


@given(st.integers(0, 99), st.integers(2, 12), st.integers(1, 9))
def test_the_p_of_a_change_is_small_where_its_interval_excludes_zero(seed, artists, tracks):
    rng = np.random.default_rng(seed)
    parts = rng.binomial(tracks, rng.uniform(size=2), (artists, 2)).astype(float)
    wholes = np.full((artists, 2), float(tracks))
    change = intervals.combined_ratios(parts, wholes, (1.0, -1.0))
    low, high = intervals.change_interval(change)
    assert (comparisons.change_test(change) < 0.05) == (low > 0 or high < 0)
