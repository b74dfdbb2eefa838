import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_utils.data import splits
from genre_utils.data.track_lists import CorpusError

GENRES = ("jazz", "pop", "rock")
DIVAS = "Aretha Franklin, Celine Dion, Mariah Carey, Shania Twain & Gloria Estefan"

pytestmark = pytest.mark.filterwarnings("ignore:The least populated class in y")


def table_of(sizes):
    """Tracks of made-up artists: `sizes` names the number of tracks of each artist of a genre."""
    rows = [
        (f"{genre}{a}.{n}", genre, f"{genre} {a}")
        for genre, artists in sizes.items()
        for a, count in enumerate(artists)
        for n in range(count)
    ]
    return pd.DataFrame(rows, columns=["track_id", "genre", "artist"])


@st.composite
def corpora(draw, fewest=3):
    """Two or three genres of `fewest` to seven artists, each with one to eight tracks."""
    artists = st.lists(st.integers(1, 8), min_size=fewest, max_size=7)
    return table_of({genre: draw(artists) for genre in GENRES[: draw(st.integers(2, 3))]})


def assert_sound(folds, tracks):
    """Check by other means than the module's own what every table of folds must keep."""
    genre = tracks.set_index("track_id")["genre"]
    for _, fold in folds.groupby("fold"):
        assert fold["track_id"].is_unique
        assert not fold.drop_duplicates(["group", "part"])["group"].duplicated().any()
        assert set(fold["part"]) == {"train", "validation", "test"}
        assert set(genre[fold.loc[fold["part"] == "train", "track_id"]]) == set(genre)


@settings(max_examples=60)
@given(corpora(), st.integers(3, 10), st.sampled_from(["artist", "track"]), st.integers(0, 99))
def test_folds_test_each_track_once_and_never_cross_a_group(tracks, k, group_by, seed):
    folds = splits.make_folds(tracks, folds=k, group_by=group_by, seed=seed)
    assert_sound(folds, tracks)
    assert 2 <= folds["fold"].nunique() <= k
    assert len(folds) == len(tracks) * folds["fold"].nunique()
    tested = folds.loc[folds["part"] == "test", "track_id"]
    assert sorted(tested) == sorted(tracks["track_id"])
    artist = folds["track_id"].map(tracks.set_index("track_id")["artist"])
    assert list(folds["group"]) == list(artist if group_by == "artist" else folds["track_id"])


@given(corpora(fewest=4), st.integers(2, 5), st.integers(0, 99), st.randoms())
def test_folds_depend_on_the_seed_alone_not_on_the_order_of_rows(tracks, k, seed, order):
    settings = {"folds": k, "group_by": "artist", "seed": seed}
    folds = splits.make_folds(tracks, **settings)
    rows = list(range(len(tracks)))
    order.shuffle(rows)
    pd.testing.assert_frame_equal(folds, splits.make_folds(tracks.iloc[rows], **settings))


def test_another_seed_gives_other_folds():
    tracks = table_of({"jazz": [2] * 9, "rock": [2] * 9})
    one, other = (
        splits.make_folds(tracks, folds=3, group_by="artist", seed=seed) for seed in (0, 1)
    )
    assert not one["part"].equals(other["part"])


def test_genres_are_spread_evenly_over_test_and_validation_parts():
    tracks = table_of({"jazz": [2] * 20, "rock": [2] * 20})
    folds = splits.make_folds(tracks, folds=5, group_by="artist", seed=0).merge(tracks)
    share = pd.crosstab([folds["fold"], folds["part"]], folds["genre"]) / 40
    np.testing.assert_allclose(share.xs("test", level="part"), 0.2, atol=0.05)
    np.testing.assert_allclose(share.xs("validation", level="part"), 0.8 / 6, atol=0.07)


def test_fewer_groups_than_folds_give_fewer_folds():
    tracks = table_of({"jazz": [1, 1, 1], "rock": [1, 1, 1]})
    folds = splits.make_folds(tracks, folds=10, group_by="artist", seed=0)
    assert folds["fold"].nunique() == 3
    assert_sound(folds, tracks)


@pytest.mark.parametrize("sizes", [{"a": [5], "b": [2] * 6}, {"a": [2, 6, 8], "b": [6, 6, 6]}])
def test_folds_that_leave_nothing_to_train_on_are_refused(sizes):
    with pytest.raises(ValueError, match="use more FOLDS"):
        for seed in range(20):
            splits.make_folds(table_of(sizes), folds=2, group_by="artist", seed=seed)


# ---------------------------------------------------------------------------- leakage


@pytest.fixture
def folds():
    tracks = table_of({"jazz": [2] * 6, "rock": [2] * 6})
    return splits.make_folds(tracks, folds=3, group_by="artist", seed=0)


def ids(folds, *parts):
    return folds.loc[(folds["fold"] == 1) & folds["part"].isin(parts), "track_id"].to_numpy()


def test_good_folds_and_honest_training_pass(folds):
    honest = ids(folds, "train", "validation")
    for fold in range(3):
        splits.refuse_leakage(folds, fold)
    splits.refuse_leakage(folds, 1, weights=ids(folds, "train"), early_stopping=honest)


@pytest.mark.parametrize(
    "pair", [("train", "test"), ("validation", "test"), ("train", "validation")]
)
def test_a_group_in_two_parts_is_refused(folds, pair):
    one, other = (folds.index[(folds["fold"] == 1) & (folds["part"] == part)][0] for part in pair)
    folds.loc[one, "group"] = folds.loc[other, "group"]
    with pytest.raises(splits.LeakageError, match=f"fold 1: .*in both {pair[0]} and {pair[1]}"):
        splits.refuse_leakage(folds, 1)
    splits.refuse_leakage(folds, 0)


@pytest.mark.parametrize("what", ["weights", "normalisation", "early_stopping", "tuned_settings"])
def test_whatever_met_a_test_track_is_refused(folds, what):
    met = [*ids(folds, "train"), ids(folds, "test")[-1]]
    said = f"fold 1: {what.replace('_', ' ')} met 1 track.*{met[-1]}"
    with pytest.raises(splits.LeakageError, match=said):
        splits.refuse_leakage(folds, 1, **{what: met})


def test_whatever_met_a_track_that_is_in_no_part_is_refused(folds):
    with pytest.raises(splits.LeakageError, match="'stranger'"):
        splits.refuse_leakage(folds, 1, weights=["stranger"])


# ---------------------------------------------------------------------------- fixed split


@given(corpora(fewest=4), st.integers(0, 99))
def test_a_fixed_split_is_kept_but_for_training_tracks_whose_group_is_tested(tracks, seed):
    artist = tracks.groupby("genre")["artist"].transform(lambda a: pd.factorize(a)[0])
    tracks["split"] = np.where(artist == 0, "test", np.where(artist == 1, "valid", "train"))
    assert_fixed(tracks, seed, dropped=set())
    leaked = tracks.index[artist == 2][0]
    tracks.loc[leaked, "artist"] += " & " + tracks.loc[tracks.index[artist == 0][0], "artist"]
    whole = tracks["artist"].str.contains(tracks.loc[leaked, "artist"].split(" &")[0], regex=False)
    dropped = set(tracks.loc[whole & (tracks["split"] == "train"), "track_id"])
    assert_fixed(tracks, seed, dropped=dropped)


def assert_fixed(tracks, seed, dropped):
    folds = splits.fixed_folds(tracks, report_on="test", group_by="artist", seed=seed)
    assert_sound(folds, tracks)
    test = folds["part"] == "test"
    assert set(folds.loc[test, "track_id"]) == set(
        tracks.loc[tracks["split"] == "test", "track_id"]
    )
    train = set(tracks.loc[tracks["split"] == "train", "track_id"])
    assert set(folds.loc[~test, "track_id"]) == train - dropped


@pytest.mark.parametrize("split", ["", "train", "test"])
def test_a_fixed_split_without_both_parts_is_refused(split):
    tracks = table_of({"jazz": [1] * 3, "rock": [1] * 3}).assign(split=split)
    with pytest.raises(ValueError, match=r"split is 'train'.*'test'"):
        splits.fixed_folds(tracks, report_on="test", group_by="artist", seed=0)


def test_what_folds_lack_is_warned_of():
    tracks = table_of({"jazz": [1] * 3, "rock": [1] * 9}).assign(split="")
    folds = splits.make_folds(tracks, folds=4, group_by="artist", seed=0)
    tested, validated = splits.fold_warnings(folds, tracks)
    assert tested.startswith("In 1 of 4 folds no jazz is tested")
    held = folds[folds["part"] == "validation"].merge(tracks).groupby("fold")["genre"].unique()
    lacking = [
        f"fold {fold}: {', '.join({'jazz', 'rock'} - set(genres))}"
        for fold, genres in held.items()
        if len(genres) < 2
    ]
    assert f"of 4 folds ({'; '.join(lacking)})" in validated
    whole = folds.assign(part=np.resize(["train", "test", "validation"], len(folds)))
    assert splits.fold_warnings(whole[whole["fold"] < 2], tracks) == []
    tracks["split"] = np.resize(["train", "valid"], len(tracks))
    tracks.loc[0, "artist"] = tracks.loc[1, "artist"]
    fixed = splits.fixed_folds(tracks, report_on="valid", group_by="artist", seed=0)
    assert splits.fold_warnings(fixed, tracks)[0].startswith("1 training tracks are left out")


@pytest.mark.parametrize("protocol", ["cv", "fixed", "loo"])
def test_the_protocol_decides_how_tracks_are_split(protocol):
    tracks = table_of({"jazz": [1] * 8, "rock": [1] * 8})
    tracks["split"] = np.resize(["train", "train", "valid"], len(tracks))
    settings = {"folds": 3, "report_on": "valid", "group_by": "artist", "seed": 0}
    if protocol == "loo":
        with pytest.raises(CorpusError, match="PROTOCOL is 'loo'; choose 'cv' or 'fixed'"):
            splits.split(tracks, protocol=protocol, **settings)
    else:
        folds = splits.split(tracks, protocol=protocol, **settings)
        assert folds["fold"].nunique() == {"cv": 3, "fixed": 1}[protocol]


def test_a_fold_that_does_not_exist_is_refused():
    table = pd.DataFrame({"track_id": list("ab"), "fold": 0, "part": ["train", "test"]})
    table["group"] = table["track_id"]
    splits.refuse_leakage(table, 0)
    with pytest.raises(splits.LeakageError, match="fold 7 does not exist"):
        splits.refuse_leakage(table, 7)
