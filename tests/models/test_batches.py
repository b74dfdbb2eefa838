"""What a network sees in an epoch: changed excerpts, soft labels, balanced genres."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import tree
from sklearn.utils.class_weight import compute_class_weight

from genre_utils.features.excerpts import Excerpts
from genre_utils.models import batches, hyperparameters

EXCERPTS, FRAMES, MELS = 3, 10, 8  # of each clip; of each excerpt


@pytest.fixture(scope="module")
def excerpts(tmp_path_factory):
    """Excerpts of as many clips, of a store."""
    place = tmp_path_factory.mktemp("store") / "features.npy"
    np.save(place, np.zeros((12, EXCERPTS * FRAMES + 3, MELS), np.float32))
    return Excerpts(place, [EXCERPTS] * 12, FRAMES)


@pytest.fixture
def music(excerpts):
    """Twelve clips whose every frame says which clip and which frame of it it is."""
    clips = np.arange(12)
    frames = 1000.0 * clips[:, np.newaxis] + np.arange(EXCERPTS * FRAMES)
    frames = np.repeat(frames[..., np.newaxis], MELS, axis=2).astype(np.float32)
    table = pd.DataFrame({"track_id": np.repeat(clips // 2, EXCERPTS), "copy": 0})
    table["copy"] = np.repeat(clips % 2, EXCERPTS)  # each track has an original and a copy
    y = np.repeat(np.where(clips < 8, 0, 1), EXCERPTS)
    return frames.reshape(-1, FRAMES, MELS), table, y, excerpts


def made(music, rows=None, seed=0, **settings):
    rows = np.arange(len(music[2])) if rows is None else rows
    settings = replace(hyperparameters.PAPER["cnn_paper"], batch_size=8, **settings)
    return batches.Batches(data_of({"log_mel": music[0]}, music), rows, settings, seed=seed)


def data_of(parts, music):
    """What a study's data say of two genres."""
    parts = parts | {"log_mel": music[3].seen_as(parts["log_mel"])}
    return SimpleNamespace(parts=lambda _: parts, table=music[1], y=music[2], genres=["a", "b"])


def epoch(made):
    return [np.concatenate(parts) for parts in zip(*made, strict=True)]


def test_without_changes_an_epoch_is_each_excerpt_once_in_another_order(music):
    both = made(music)
    first, second = epoch(both), epoch(both)
    for x, labels, weights in (first, second):
        order = np.argsort(x[:, 0, 0])
        np.testing.assert_array_equal(x[order], music[0])
        np.testing.assert_array_equal(labels[order], np.eye(2)[music[2]])
        assert (weights == 1).all()
    assert not np.array_equal(first[0], second[0])


@pytest.mark.parametrize("changes", [hyperparameters.AUGMENTATIONS, ("mixup",), ("masks",)])
def test_the_seed_the_epoch_and_the_number_decide_a_batch(music, changes):
    one, same, other = (made(music, seed=seed, augmentation=changes) for seed in (1, 1, 2))
    first, second = epoch(one), epoch(one)
    for a, b in zip(first, epoch(same), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], epoch(other)[0])
    assert not np.array_equal(first[0], second[0])


def test_random_excerpts_stay_inside_their_clip_and_the_training_rows(music):
    rows = np.flatnonzero(music[1]["track_id"].isin([1, 4]))
    some = made(music, rows, augmentation=("random excerpts",))
    starts = []
    for _ in range(30):
        x, labels, _ = epoch(some)
        np.testing.assert_array_equal(np.diff(x[:, :, 0], axis=1), 1)  # frames that follow on
        clip, start = np.divmod(x[:, 0, 0].astype(int), 1000)
        assert set(clip // 2) <= {1, 4}
        assert (labels.argmax(axis=1) == (clip >= 8)).all()
        starts += list(start)
    assert min(starts) == 0 and max(starts) == (EXCERPTS - 1) * FRAMES
    assert len(set(starts)) > FRAMES + 5  # and not where the grid has one alone


def test_excerpts_that_are_apart_start_where_they_are_cut(music):
    apart = (*music[:3], music[3].apart())
    x, _, _ = epoch(made(apart, augmentation=("random excerpts",)))
    assert sorted(x[:, 0, 0]) == sorted(music[0][:, 0, 0])


def test_mixup_is_convex_and_the_labels_are_mixed_alike(music):
    for x, labels, _ in made(music, augmentation=("mixup",)):
        assert np.allclose(labels.sum(axis=1), 1) and (labels >= 0).all()
        assert music[0].min() <= x.min() and x.max() <= music[0].max()
    # where the picture says the genre, the blend of pictures says the blend of labels
    telling = np.broadcast_to(music[2][:, None, None], music[0].shape).astype(np.float32)
    blended = [
        batch
        for seed in range(2)
        for batch in made((telling, *music[1:]), seed=seed, augmentation=("mixup",))
    ]
    for x, labels, _ in blended:
        np.testing.assert_allclose(x[:, 0, 0], labels[:, 1], atol=1e-6)
    assert any(((labels > 0.05) & (labels < 0.95)).any() for _, labels, _ in blended)


def test_masks_stand_at_the_mean_of_the_rows_that_are_learned_from(music):
    music[0][6:] += 5e5  # not learned from
    x, _, _ = epoch(made(music, np.arange(6), augmentation=("masks",)))
    outside = ~np.isin(x, music[0][:6])
    assert outside.any()
    np.testing.assert_allclose(x[outside], music[0][:6].mean(), rtol=1e-6)


def test_weights_are_those_of_scikit_learn_and_follow_mixed_labels(music):
    expected = compute_class_weight("balanced", classes=np.arange(2), y=music[2])
    _, labels, weights = epoch(made(music, balance="weights"))
    np.testing.assert_allclose(weights, expected[labels.argmax(axis=1)], rtol=1e-6)
    _, labels, weights = epoch(made(music, balance="weights", augmentation=("mixup",)))
    np.testing.assert_allclose(weights, labels @ expected, rtol=1e-5)


@given(scale=st.floats(1e-5, 1e5), offset=st.floats(-1e3, 1e3), seed=st.integers(0, 99))
def test_columns_are_brought_to_one_scale_however_small_they_are(scale, offset, seed):
    values = offset + scale * np.random.default_rng(seed).normal(size=(600, 3))
    values[:, 2] = offset  # never varies
    mean, variance = batches.statistics(values, np.arange(0, 600, 2))
    scaled = (values[::2] - mean) / np.sqrt(variance)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0], atol=1e-6)


def test_a_genre_without_training_tracks_does_not_stop_weighting():
    np.testing.assert_array_equal(batches._genre_weights(np.array([0, 2, 2, 0]), 3), [1, 1, 1])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_sampling_draws_equal_shares_of_each_genre(sizes, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.arange(len(y)) + 100
    drawn = batches._balanced(rows, y, np.random.default_rng(seed))
    assert len(drawn) == len(rows) and np.isin(drawn, rows).all()
    shares = np.bincount(y[drawn - 100], minlength=len(sizes))
    assert np.ptp(shares) <= 1
    for genre, size in enumerate(sizes):
        times = np.bincount(drawn - 100, minlength=len(y))[y == genre]
        assert np.ptp(times) <= 1 and len(times) == size


def test_a_stream_gives_the_same_epochs_and_mixes_features_as_it_mixes_excerpts(music):
    settings = replace(hyperparameters.PAPER["cnn_paper"], batch_size=8, augmentation=("mixup",))
    features = np.stack([music[0][:, 0, 0], -music[0][:, 0, 0]], axis=1)
    parts, rows = {"log_mel": music[0], "features": features}, np.arange(len(music[2]))
    plain, streamed = (
        batches.Batches(data_of(parts, music), rows, settings, seed=1) for _ in range(2)
    )
    dataset = batches.stream(streamed)
    assert len(dataset) == len(plain)
    for _ in range(2):  # epochs
        for ours, theirs in zip(plain, dataset, strict=True):
            for a, b in zip(tree.flatten(ours), tree.flatten(theirs), strict=True):
                np.testing.assert_array_equal(a, b)
            seen = ours[0]
            np.testing.assert_allclose(seen["features"][:, 0], seen["log_mel"][:, 0, 0], rtol=1e-5)
            np.testing.assert_allclose(seen["features"].sum(axis=1), 0, atol=1e-2)


@pytest.mark.parametrize("wrong", [{"augmentation": ("mask",)}, {"balance": "sample"}])
def test_unknown_names_are_refused_with_those_there_are(wrong):
    with pytest.raises(ValueError, match=r"random excerpts, mixup\.|weights, sampling\."):
        replace(hyperparameters.PAPER["cnn_paper"], **wrong)
