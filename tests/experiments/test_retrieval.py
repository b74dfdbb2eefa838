"""How good neighbours are: the artist filter, precision, and what is said of it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.evaluation import comparisons
from genre_utils.experiments import retrieval
from genre_utils.features import neighbours
from genre_utils.report import sentences
from genre_utils.workspace.study_folder import StudyFolder

seeds = st.integers(0, 2**32 - 1)


# ---------------------------------------------------------------------------- the artist filter


@given(seeds, st.integers(2, 25), st.integers(1, 6), st.integers(1, 12))
def test_hits_are_the_neighbours_of_the_querys_genre(seed, rows, artists, count):
    rng = np.random.default_rng(seed)
    x, artist = rng.normal(size=(rows, 4)), rng.integers(0, artists, rows)
    genre = artist % 2
    hits = retrieval._hits(x, genre, artist, count)
    for row in range(rows):
        others = [k for k in range(rows) if artist[k] != artist[row]]
        others.sort(key=lambda k: np.linalg.norm(x[k] - x[row]))
        assert hits[row] == sum(genre[k] == genre[row] for k in others[:count])


def test_without_the_filter_an_artist_would_pass_for_a_genre():
    rng = np.random.default_rng(0)
    artist = np.repeat(np.arange(10), 8)
    genre, x = artist % 2, rng.normal(size=(10, 20))[artist] + 0.01 * rng.normal(size=(80, 20))
    unfiltered = retrieval._hits(x, genre, np.arange(80), 7)
    filtered = retrieval._hits(x, genre, artist, 7)
    assert (unfiltered == 7).all()  # what is heard is the artist alone
    assert filtered.mean() / 7 < 0.65


# ---------------------------------------------------------------------------- measured


def write_study(study, *, artists=8, tracks=4, seed=0):
    """Write a study whose genre shows in the probabilities, whose artists show in the features."""
    rng, genres = np.random.default_rng(seed), ["jazz", "rock"]
    rows = [
        {"track_id": f"{genre}/{a}-{n}", "genre": genre, "group": f"{genre} {a}", "fold": a % 2}
        for genre in genres
        for a in range(artists)
        for n in range(tracks)
    ]
    table = pd.DataFrame(rows)
    who = pd.factorize(table["group"])[0]
    folds = table.assign(part="test")[["track_id", "group", "fold", "part"]]
    summary = table[["track_id"]].assign(copy=0, excerpt=0)
    for n, name in enumerate(["mfcc_01_mean", "mfcc_01_std", "tempo_01_mean", "tempo_01_std"]):
        own = np.random.default_rng(n).normal(size=2 * artists)[who]
        summary[name] = own + 0.3 * rng.normal(size=len(table))
    summary["tempo_01_mean"] += 100
    study.write(tracks=table[["track_id", "genre"]], folds=folds, summary=summary)
    study.write(corpus={"genres": genres}, features={"sha256": "0"})
    p = np.where(table["genre"] == "jazz", 0.8, 0.2) + 0.05 * rng.normal(size=len(who))
    predictions = table[["track_id", "fold"]].assign(excerpt=0, y_true=table["genre"])
    p = np.clip(p, 0, 1)
    study.write_model("logistic", predictions.assign(p_jazz=p, p_rock=1 - p), {})
    return study


@pytest.fixture(scope="module")
def measured_study(tmp_path_factory):
    return write_study(StudyFolder(tmp_path_factory.mktemp("study")))


def test_precision_its_interval_and_its_test_are_those_of_the_hits(measured_study):
    table = retrieval.neighbour_precision(measured_study, "logistic").set_index("vector")
    tracks, vectors = retrieval._embeddings(measured_study, "logistic")
    genre, group = tracks["genre"].to_numpy(), tracks["group"].to_numpy()
    right = {name: retrieval._hits(x, genre, group) for name, x in vectors.items()}
    for name, row in table.iterrows():
        assert row["precision"] == pytest.approx(right[name].mean() / 10)
        assert row["low"] <= row["precision"] <= row["high"]
        assert row["artist_low"] <= row["artist"] <= row["artist_high"]
    base = right[retrieval.BASELINE]
    p = comparisons.sign_flip_test(right["both"], base, group)
    assert table.loc["both", "p_value"] == p <= table.loc["both", "p_holm"]
    assert table.loc["both", "difference"] == pytest.approx((right["both"] - base).mean() / 10)
    assert table.loc["genre probabilities", "precision"] == 1
    assert table.attrs["chance"] == pytest.approx(7 / 15)  # 28 of the 60 by others
    both, genres = table.loc["both"], table.loc["genre probabilities"]
    assert both["artist"] > genres["artist"] + 0.2


def test_what_was_measured_is_told(measured_study):
    table = retrieval.neighbour_precision(measured_study, "logistic")
    sentence = sentences.neighbour_precision(table, "artist")
    assert "10 nearest tracks" in sentence and "chance level is 47\N{NO-BREAK SPACE}%" in sentence
    for share, name in zip(table["precision"], retrieval.VECTORS, strict=True):
        assert f"{100 * share:.0f}\N{NO-BREAK SPACE}% by {name} (" in sentence
    assert "MFCC statistics: genre probabilities. To judge" in sentence
    shown = retrieval.precision_table(table)
    assert list(shown.index) == list(retrieval.VECTORS)
    assert shown["same genre"].iloc[0].startswith(f"{table['precision'].iloc[0]:.2f} [")
    assert shown["ahead of MFCCs"].iloc[0] == "" and shown["ahead of MFCCs"].iloc[2].startswith("+")


def test_examples_are_by_others_and_have_their_reasons(measured_study):
    tracks, named = measured_study.tracks, {"artist": "Ella", "title": "Scat"}
    measured_study.write(tracks=tracks.assign(**named))
    found = retrieval.nearest_tracks(measured_study, "logistic")
    assert found["neighbour"].str.fullmatch(r"(jazz|rock)/\d-\d, Ella, Scat").all()
    measured_study.write(tracks=tracks.assign(artist="unknown:it", title=["Scat"] + 63 * [""]))
    query = retrieval.nearest_tracks(measured_study, "logistic")["query"]
    assert list(query.unique()) == ["jazz/0-0, Scat", "rock/0-0"]
    assert len(found) == 6 and set(found["genres"].str.split(", ").str[0]) == {"jazz", "rock"}
    assert (found["query"].str.split("-").str[0] != found["neighbour"].str.split("-").str[0]).all()
    assert found["why"].str.contains("same genre by the model").all()
    assert found["why"].str.contains("beats/min").all()
    assert found.groupby("query")["distance"].is_monotonic_increasing.all()


def test_playlists_are_measured_against_the_nearest(measured_study):
    table = retrieval.playlist_precision(measured_study, "logistic").set_index("weight")
    tracks, vectors = retrieval._embeddings(measured_study, "logistic")
    genre, group = tracks["genre"].to_numpy(), tracks["group"].to_numpy()
    plain = neighbours.nearest_others(vectors["both"], group, 20)
    assert table.loc[1, "share"] == pytest.approx((genre[plain] == genre[:, np.newaxis]).mean())
    assert table.loc[1, "artists"] == pytest.approx(
        np.mean([len(set(row)) for row in group[plain]])
    )
    assert (table["artists_low"] <= table["artists"]).all()
    assert (table["artists"] <= table["artists_high"]).all()
    more = table.loc[neighbours.WEIGHT]
    assert more["artists_more_low"] > 0 and more["artists"] <= 15
    assert more["artists"] - table.loc[1, "artists"] == pytest.approx(more["artists_more"])
    assert table.attrs == {"count": 20, "others": 7}
    text = retrieval.precision_table(table.reset_index())
    assert text.loc["1.0", "artists"].startswith(f"{table.loc[1, 'artists']:.2f} [")
    assert not {"p (Holm)", "same genre"} & set(text)


def test_what_a_playlist_reaches_is_told(measured_study):
    table = retrieval.playlist_precision(measured_study, "logistic")
    told = sentences.playlists(table, "artist")
    row = table.set_index("weight").loc[neighbours.WEIGHT]
    assert f"reaches {row['artists']:.1f} (95" in told and "has 7 other artists" in told
    assert f"{100 * row['share']:.0f}\N{NO-BREAK SPACE}% (95" in told
