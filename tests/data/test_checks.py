"""What a study needs: what is refused, what is warned of, and that the rest can be trained."""

import numpy as np
import pandas as pd
import pytest

from genre_utils.data import checks, splits
from genre_utils.data.track_lists import CorpusError
from genre_utils.models import classical


def table_of(artists_per_genre, artist="{genre} {n}"):
    rows = [
        (f"{genre}{n}", genre, artist.format(genre=genre, n=n))
        for genre, count in artists_per_genre.items()
        for n in range(count)
    ]
    return pd.DataFrame(rows, columns=["track_id", "genre", "artist"])


@pytest.mark.parametrize(
    ("genres", "said"),
    [
        (["rock", "ska"], r"unknown genre.*'ska'.*this corpus has usable files of jazz, rock"),
        (["rock", "jazz", "rock"], "names a genre twice: rock, jazz, rock"),
        (["rock"], r"only one genre \(rock\)"),
    ],
)
def test_genres_that_cannot_be_studied_are_refused(genres, said):
    with pytest.raises(CorpusError, match=said):
        checks.choose_genres(table_of({"jazz": 3, "rock": 3}), genres)


def test_genres_keep_their_order_and_none_means_all():
    tracks = table_of({"rock": 3, "jazz": 3, "pop": 3})
    assert checks.choose_genres(tracks, ["rock", "jazz"]) == ["rock", "jazz"]
    assert checks.choose_genres(tracks, []) == ["jazz", "pop", "rock"]
    with pytest.raises(CorpusError, match="only one genre"):
        checks.choose_genres(table_of({"rock": 3}), [])


@pytest.mark.parametrize(
    ("counts", "settings", "said"),
    [
        (
            {"rock": 3, "jazz": 2},
            {},
            "under 3 artists in a genre: jazz has 2.*add music, leave .* or group",
        ),
        ({"rock": 3, "jazz": 2}, {"group_by": "track"}, "under 3 tracks in a genre: jazz has 2"),
        ({"rock": 3, "jazz": 3}, {"folds": 1}, "FOLDS is 1.*at least 2"),
        ({"rock": 3, "jazz": 3}, {"group_by": "album"}, "'album'; choose 'artist' or 'track'"),
    ],
)
def test_settings_that_cannot_be_studied_are_refused(counts, settings, said):
    with pytest.raises(CorpusError, match=said):
        checks.check(
            table_of(counts), ["rock", "jazz"], **{"group_by": "artist", "folds": 3} | settings
        )


def test_two_folds_need_a_fourth_artist():
    table = pd.DataFrame({"genre": ["jazz", "rock"] * 3, "artist": list("abcdef")})
    table["track_id"] = table["artist"]
    assert checks.check(table, ["jazz", "rock"], group_by="artist", folds=3) == []
    with pytest.raises(CorpusError, match="under 4 artists in a genre"):
        checks.check(table, ["jazz", "rock"], group_by="artist", folds=2)


def test_collaborations_count_as_one_artist():
    tracks = table_of({"rock": 3, "jazz": 3})
    tracks.loc[0, "artist"] = "rock 1 & Rock 2"
    with pytest.raises(CorpusError, match="rock has 1"):
        checks.check(tracks, ["rock", "jazz"], group_by="artist", folds=3)


def test_what_weakens_a_study_is_warned_of():
    def warnings(tracks, group_by="artist", folds=3):
        return " ".join(checks.check(tracks, ["rock", "jazz"], group_by=group_by, folds=folds))

    tracks = table_of({"rock": 4, "jazz": 3})
    assert warnings(tracks) == ""
    assert warnings(tracks, folds=4) == "Fewer artists than the 4 folds: jazz (3)."
    assert "by track, not by artist" in warnings(tracks, group_by="track")
    unknown = table_of({"rock": 4, "jazz": 3}, artist="unknown:{genre}{n}")
    assert warnings(unknown).startswith("No artist is known")


def floor(artists, tracks):
    """Two genres with the fewest artists, with tracks of one artist or of several."""
    sizes = [tracks] * artists if isinstance(tracks, int) else tracks[:artists]
    rows = [
        (f"{genre}{a}.{n}", genre, f"{genre} {a}")
        for genre in ("jazz", "rock")
        for a, size in enumerate(sizes)
        for n in range(size)
    ]
    return pd.DataFrame(rows, columns=["track_id", "genre", "artist"]).assign(split="")


@pytest.mark.parametrize("tracks", [1, 2, (7, 1, 1, 1)])
@pytest.mark.parametrize(("folds", "artists"), [(2, 4), (3, 3), (5, 3)])
def test_what_is_not_refused_is_split_trained_and_calibrated(folds, artists, tracks):
    table = floor(artists, tracks)
    genres, rng = ["jazz", "rock"], np.random.default_rng(0)
    assert isinstance(checks.check(table, genres, group_by="artist", folds=folds), list)
    for seed in range(2):
        made = splits.split(table, folds=folds, group_by="artist", seed=seed)
        for _, fold in made.groupby("fold"):
            rows = fold.loc[fold.index.repeat(2)]  # two excerpts of each track
            y = rows["track_id"].str[:4].to_numpy()
            train, test = (np.flatnonzero((rows["part"] == "test") == it) for it in (False, True))
            x, group = rng.normal(size=(len(y), 3)), rows["group"].to_numpy()
            for name in classical.HYPERPARAMETERS:
                p = classical.fit_predict(name, x, y, group, train, test, genres)
                np.testing.assert_allclose(p.sum(axis=1), 1.0)
    fewer = table[~table["artist"].isin(["jazz 0", "rock 0"])]
    with pytest.raises(CorpusError, match=f"under {artists} artists in a genre"):
        checks.check(fewer, genres, group_by="artist", folds=folds)


def test_artists_of_several_genres_that_take_all_of_one_away_are_refused():
    sizes = {
        "jazz": {"a": 7, "s": 1, "t": 6},
        "pop": {"b": 6, "c": 4, "t": 6},
        "rock": {"d": 7, "e": 6, "s": 3, "t": 6},
    }
    rows = [
        (f"{genre} {artist} {n}", genre, artist)
        for genre, artists in sizes.items()
        for artist, size in artists.items()
        for n in range(size)
    ]
    table = pd.DataFrame(rows, columns=["track_id", "genre", "artist"])
    refused = []
    for seed in range(10):
        settings = {"group_by": "artist", "folds": 3, "seed": seed}
        try:
            checks.check(table, sorted(sizes), **settings)
        except CorpusError as error:
            refused.append(seed)
            assert "use more FOLDS" in str(error)
            with pytest.raises(CorpusError, match="use more FOLDS"):
                splits.split(table, **settings)
        else:
            splits.split(table, **settings)
    assert refused
