"""How the model of this package is made: what is tested takes no part, and both halves count."""

import numpy as np
import pandas as pd
import pytest

import package_model
from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.features import audio
from genre_utils.recognition import exported_model, listening
from genre_utils.workspace import files
from small_study import THREE_GENRES as GENRES
from small_study import statistics_fixture  # noqa: F401


@pytest.fixture
def heard(study):
    """Two excerpts of each track, of which embeddings tell a little and features less."""
    rng, columns = np.random.default_rng(3), study.summary.shape[1] - 3
    sides = rng.normal(size=(3, 12))
    found = []
    for genre in study.tracks["genre"]:
        embedding = 0.6 * sides[GENRES.index(genre)] + rng.normal(size=(2, 12))
        one = {"features": rng.normal(size=(2, columns)), "embedding": embedding}
        found.append(one | {package_model.THOROUGH: embedding + 0.1 * rng.normal(size=(2, 12))})
    return found


@pytest.fixture
def make(study, monkeypatch):
    monkeypatch.setattr(package_model, "FOLDS", 3)
    tracks = study.tracks[["track_id", "genre", "artist"]]
    return lambda heard: package_model.Music(study, tracks, heard)


def test_predictions_know_nothing_of_other_tested_artists(make, heard, study):
    music = make(heard)
    table, thorough, about = music.predict(0)
    assert set(table["track_id"]) == set(thorough["track_id"]) and about["C"] in package_model.CS
    tested = sorted(set(table["track_id"]))
    place = list(study.tracks["track_id"]).index
    changed = [dict(one) for one in heard]
    for track in tested[1:]:
        for name in ("embedding", package_model.THOROUGH):
            changed[place(track)][name] = -50 * changed[place(track)][name]
    again, *_ = make(changed).predict(0)
    same = table["track_id"] == tested[0]
    pd.testing.assert_frame_equal(table[same], again[same])
    assert not table.equals(again)


def test_a_fold_whose_artist_was_learned_from_is_refused(make, heard):
    music = make(heard)
    music.folds["group"] = "everybody"
    with pytest.raises(splits.LeakageError):
        music.fit(frozenset({0}), 0.03)


def test_the_half_that_knows_more_gets_the_larger_share():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 300)
    good = np.log(np.full((300, 3), 0.15) + 0.55 * np.eye(3)[true])
    bad = np.log(rng.dirichlet(np.ones(3), 300))
    table = pd.DataFrame({"true": true, "share": 1.0})
    loss, shares = package_model._best_shares(np.stack([bad, good], axis=2), table)
    assert shares[1] > 1 > 0.1 > shares[0] >= 0
    assert loss <= -good[np.arange(300), true].mean()


def test_what_haste_costs_is_counted(make, heard):
    tables, thorough, _ = zip(*map(make(heard).predict, range(3)), strict=True)
    found = package_model.cost_of_haste(pd.concat(tables), pd.concat(thorough))
    tracks = scoring.track_probabilities(pd.concat(thorough))
    assert found["tracks"] == len(tracks)
    assert found["all_patches"] == (tracks["y_true"] == tracks["y_pred"]).mean()
    assert 0 <= found["windows"] <= 1 and found["all_windows"] in {n / 3 for n in range(4)}


def test_a_recording_is_described_as_recognition_reads_it(gtzan_mini):
    about = exported_model.read_sidecar(exported_model.PRETRAINED)
    path = next(iter(sorted(gtzan_mini.glob("genres/jazz/*.wav"))))
    found = package_model.describe(str(path), about["recipe"])
    (_, y), *_ = listening.windows(path, seconds=30.0, sr=audio.SAMPLE_RATE)
    read = exported_model.MusicStyleClassifier().extract_features(y)
    for name in ("features", "embedding"):
        np.testing.assert_array_equal(found[name], read[name])
    assert found[package_model.THOROUGH].shape == found["embedding"].shape == (5, 200)


def test_the_stored_model_is_of_the_code_that_makes_it():
    sidecar = files.read_json(exported_model.sidecar_path(exported_model.PRETRAINED))
    assert sidecar["model"] == package_model.NAME and sidecar["made_from"]
    assert sidecar["recipe"]["reads"] == ["features", "embedding"]
    results = files.read_json(exported_model.PRETRAINED.with_suffix(".results.json"))
    heard = results["models"][package_model.NAME]["heard"]
    assert heard["tracks"] == 100 and heard["patches"] > heard["all_patches"] - 0.05
