"""The stored benchmarks are of the code that is here, and support what the study says of them."""

import importlib

import numpy as np
import pandas as pd
import pytest

import scaling
from extraction import COSTLY
from genre_utils import evaluation, features, files

STORED = files.ROOT / "benchmarks" / "extraction.json"
PEER = files.ROOT / "benchmarks" / "peer.json"


def test_the_stored_extraction_benchmark_is_of_this_code_and_holds_what_is_claimed():
    stored = files.read_json(STORED)
    assert stored["code"] == files.source_hash("features"), (
        "features.py has changed: run python benchmarks/extraction.py --json "
        "benchmarks/extraction.json on a quiet machine"
    )
    times = stored["milliseconds"]
    assert set(features.FAMILIES) <= set(times)
    alone = sum(times[name] for name in features.FAMILIES if name not in COSTLY)
    assert stored["librosa_over_shared_pass"] == round(alone / times["shared pass"], 1) >= 8
    stft = times["librosa.stft"]
    assert stored["shared_pass_over_stft"] == round(times["shared pass"] / stft, 1) <= 8


def test_the_document_on_scaling_shows_what_was_measured():
    stored = files.read_json(files.ROOT / "benchmarks" / "scaling.json")
    document = (files.ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert scaling.block(stored) in document
    assert scaling.written_anew(document, stored) == document
    assert list(stored["workers"]) == ["1", "2"]


def test_what_grows_with_the_music_grows_in_proportion():
    stored = files.read_json(files.ROOT / "benchmarks" / "scaling.json")
    more = scaling.SIZES["10 million tracks"] / scaling.SIZES["fma_large"]
    for less, much in scaling.extrapolated(stored).values():
        assert much == pytest.approx(more * less)
    array = scaling.extrapolated(stored)["array of all excerpts, GB"][0]
    assert array == pytest.approx(106_574 * stored["bytes_a_clip"]["log_mel"] / 1e9)


@pytest.fixture(scope="module")
def peer():
    pytest.importorskip("keras")
    return importlib.import_module("peer")


@pytest.fixture(scope="module")
def small_store(tmp_path_factory):
    """Two genres by four artists with two tracks each; those of `valid` must not be looked at."""
    folder = tmp_path_factory.mktemp("store")
    rows = [
        (f"{genre}{artist}{n}", genre, f"{genre} {artist}", "train" if artist < "e" else "valid")
        for genre in ("jazz", "rock")
        for artist in "abcde"
        for n in range(2)
    ]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist", "split"])
    tracks.to_csv(folder / "tracks.csv", index=False)
    sound = np.random.default_rng(0).random((len(tracks), 48, 32)).astype(np.float16)
    sound[tracks["split"] == "valid"] = np.nan
    np.save(folder / "log_mel.npy", sound)
    return folder


def test_the_peer_comparison_keeps_each_training_and_never_reads_the_valid_part(
    peer, small_store, tmp_path, monkeypatch
):
    monkeypatch.setattr(peer, "SIZE", 32)  # quicker
    path = tmp_path / "peer.json"
    plan = peer.planned("cnn", seeds=1, epochs=1, full=0)
    result = peer.benchmark(small_store, plan, 1, path)
    assert [peer.label(run) for run in result["runs"]] == ["cnn, seed 0", "peer, seed 0"]
    assert result["split"]["tracks"] == {"test": 4, "train": 10, "validation": 2}
    assert not any(name[4] == "e" for name in result["split"]["test"])
    assert files.read_json(path) == result
    assert "cnn, seed 0" in peer.shown(result)
    monkeypatch.setattr(peer, "measure", None)  # nothing is trained again
    assert peer.benchmark(small_store, plan, 1, path) == result


def test_the_peer_is_the_published_network_and_its_windows_overlap_by_half(peer):
    assert peer.build_peer(10).count_params() == 2_495_114
    log_mel = np.arange(334)[np.newaxis, :, np.newaxis] * np.ones((2, 1, 128))
    cut = peer.windows(log_mel)
    assert cut.shape == (2, 4, 128, 128)
    assert cut[0, :, 0, 0].tolist() == [0, 64, 128, 192]
    with pytest.raises(ValueError, match="128 mel bands"):
        peer.windows(log_mel[:, :, :64])


def test_the_windows_of_a_track_vote_and_the_mean_probability_breaks_ties(peer):
    rows = [("won", 0.6), ("won", 0.6), ("won", 0.0), ("tied", 0.6), ("tied", 0.3)]
    table = pd.DataFrame(rows, columns=["track_id", "p_jazz"])
    table = table.assign(p_rock=1 - table["p_jazz"], y_true="jazz", fold=0)
    table["excerpt"] = table.groupby("track_id").cumcount()
    assert peer.majority(table).set_index("track_id")["y_pred"].to_dict() == {
        "won": "jazz",
        "tied": "rock",
    }
    assert set(evaluation.track_probabilities(table)["y_pred"]) == {"rock"}


def test_two_networks_are_compared_on_the_same_tracks_by_seed_and_over_all_seeds(peer):
    groups = pd.Series({"a": "A", "b": "B", "c": "C", "d": "D"})
    runs = [
        {"network": network, "seed": seed, "max_epochs": 5, "stopping": True, "wrong": wrong}
        for seed, network, wrong in [
            (0, "cnn", ["a"]),
            (0, "peer", ["a", "b"]),
            (1, "cnn", []),
            (1, "peer", ["c"]),
        ]
    ]
    runs.append({**runs[1], "max_epochs": 9, "stopping": False, "wrong": list("abcd")})
    found = peer.compared(runs, groups)
    assert [pair["difference"] for pair in found] == [0.25, 0.875, 0.25, 0.25]
    assert found[0]["a"] == ["cnn, seed 0", "cnn, seed 1"]
    assert found[1]["b"] == ["peer, 9 epochs"]
    assert found[1]["p_value"] == 2 / 2**4  # better on the tracks of all four artists
    assert found[2]["p_value"] == 1.0


@pytest.mark.skipif(not PEER.exists(), reason="benchmarks/peer.py has not been run")
def test_the_stored_peer_comparison_is_complete_and_follows_from_its_answers(peer):
    stored = files.read_json(PEER)
    groups = pd.Series(stored["split"]["test"])
    assert peer.scored(stored["runs"], groups) == stored["runs"]
    assert peer.compared(stored["runs"], groups) == stored["compared"]
    stopped = [run["network"] for run in stored["runs"] if run["stopping"]]
    assert stopped.count("peer") == len(stopped) / 2 >= 3
    assert [run["max_epochs"] for run in stored["runs"] if not run["stopping"]] == [150]
