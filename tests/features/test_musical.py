"""The tempo that is read from sound itself."""

import numpy as np
import pytest
from conftest import song

from genre_utils.features import audio, musical

SR = audio.SAMPLE_RATE


@pytest.mark.parametrize("rate", [70, 96, 120, 150])
def test_the_tempo_of_beats_is_theirs(rate):
    rng, t = np.random.default_rng(rate), np.arange(20 * SR) / SR
    y = rng.normal(size=len(t)) * np.exp(-30 * (t % (60 / rate))) * 0.3
    assert musical.tempo(y.astype(np.float32), SR) == pytest.approx(rate, rel=0.02)


def test_what_is_too_short_or_silent_has_no_tempo():
    assert np.isnan(musical.tempo(song(0, 1.0), SR))
    assert np.isnan(musical.tempo(np.zeros(10 * SR, np.float32), SR))
