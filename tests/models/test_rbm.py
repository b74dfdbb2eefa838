"""Restricted Boltzmann machines: what they learn of the data, and how repeatably."""

import numpy as np
import pytest
from scipy.special import expit

from genre_utils.models import rbm


def patterns(kind, rows=600):
    """Rows that follow one of two opposite patterns of twelve values."""
    rng = np.random.default_rng(0)
    pattern = np.where(np.arange(12) % 2, 1.0, -1.0)
    x = rng.choice([-1.0, 1.0], rows)[:, np.newaxis] * pattern + 0.3 * rng.normal(size=(rows, 12))
    return x if kind == "gaussian" else expit(4 * x)


@pytest.mark.parametrize("kind", ["gaussian", "binary"])
def test_hidden_units_tell_the_two_patterns_apart(kind):
    x = patterns(kind)
    weights, bias = rbm.restricted_boltzmann_machine(x, 8, kind=kind, seed=0)
    hidden = expit(x @ weights + bias)
    which = x[:, 1] > x[:, 0]
    correlation = [np.corrcoef(unit, which)[0, 1] for unit in hidden.T]
    assert np.abs(correlation).max() > 0.9


def test_the_seed_decides_everything():
    x = patterns("gaussian")
    one, same, other = (
        rbm.restricted_boltzmann_machine(x, 4, kind="gaussian", seed=s) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one[0], same[0])
    assert not np.array_equal(one[0], other[0])
