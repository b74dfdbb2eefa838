import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_utils.evaluation import calibration


@given(st.floats(0.3, 4.0), st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_temperature_undoes_what_made_a_model_overconfident(true_temperature, seed):
    rng = np.random.default_rng(seed)
    calibrated = rng.dirichlet([2, 2, 2], 4000)
    calibrated = calibrated[
        calibrated.min(axis=1) > 1e-3
    ]  # what falls below 1e-12 is cut, and lost
    drawn = rng.random((len(calibrated), 1)) > calibrated.cumsum(axis=1)
    true = drawn.sum(axis=1).clip(max=2)
    off = calibration.apply_temperature(calibrated, 1 / true_temperature)
    assert calibration.temperature(off, true) == pytest.approx(true_temperature, rel=0.15)
    back = calibration.apply_temperature(off, true_temperature)
    np.testing.assert_allclose(back, calibrated, atol=1e-6)


def test_temperature_survives_certainty_right_and_wrong():
    certain = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert calibration.temperature(certain, np.array([0, 1])) == pytest.approx(10, rel=0.01)
    assert 0.1 <= calibration.temperature(certain, np.array([0, 0])) <= 10


@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=5), st.floats(0.2, 5))
def test_temperature_keeps_the_order_and_the_sum(p, temperature):
    p = np.array(p) / sum(p)
    scaled = calibration.apply_temperature(p, temperature)
    assert scaled.sum() == pytest.approx(1)
    assert scaled[p.argmax()] == scaled.max()
    assert calibration.apply_temperature(p, 1.0) == pytest.approx(p)
    twice = calibration.apply_temperature(np.stack([p, p]), [temperature, 1.0])
    np.testing.assert_allclose(twice, [scaled, p])
