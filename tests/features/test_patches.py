"""Patches of clips: how they are cut and heard, and what they are of an excerpt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.features import patches


def test_loud_music_overflows_nowhere():
    loud = np.sign(np.sin(np.arange(48_000) / 7)).astype(np.float32) * 3
    heard = patches.listen(patches.cut(loud)[0])
    assert all(np.isfinite(values).all() for values in heard.values())


@given(st.integers(1, 400_000), st.integers(0, 12))
def test_patches_are_evenly_spread_inside_the_clip(samples, how_many):
    frames = 1 + max(samples, 186 * 256) // 256
    starts = patches._starts(frames, how_many)
    whole = frames // 187
    assert len(starts) == (how_many if 0 < how_many < whole else whole) > 0
    assert starts[0] >= 0 and starts[-1] <= frames - 187
    assert np.ptp(np.diff(starts)) <= 1 if len(starts) > 2 else True


def test_a_short_clip_is_repeated():
    y = np.random.default_rng(0).normal(size=32_000).astype(np.float32)
    power, starts = patches.cut(y)
    assert power.shape == (1, 187, 257) and list(starts) == [0]
    np.testing.assert_allclose(power, patches.cut(np.resize(y, 186 * 256))[0])


def test_an_excerpt_hears_what_it_overlaps():
    found = patches.shares(3, 6.0, np.array([0.0, 3.0, 5.0, 20.0]))
    seconds = patches.SECONDS
    expected = [seconds, seconds, 1.0]
    np.testing.assert_allclose(found[0], [*np.divide(expected, sum(expected)), 0])
    np.testing.assert_allclose(found[1], [0, 0, 1, 0])
    np.testing.assert_allclose(found[2], [0, 0, 0, 1])  # none overlaps: the nearest


def test_without_musicnn_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(patches.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError) as error:
        patches.learned()
    line = "pip install --no-deps -r requirements-nodeps.txt"
    assert line in [text.strip() for text in str(error.value).splitlines()]
