"""Restricted Boltzmann machines, from which a deep belief network is stacked.

scikit-learn's has no Gaussian visible units, which standardised spectrograms need.
"""

import numpy as np
from scipy.special import expit, logit

EPOCHS, BATCH = 10, 32
MOMENTUM, DECAY = 0.9, 1e-4
RATES = {"gaussian": 0.003, "binary": 0.02}  # Gaussian units need the lower one (Hinton 2010)


def restricted_boltzmann_machine(visible: np.ndarray, units: int, *, kind: str, seed: int):
    """Weights and hidden bias of ``gaussian`` (standardised) or ``binary`` visible units.

    Learned by one step of contrastive divergence at a time (Hinton 2002).
    """
    rng, mean = np.random.default_rng(seed), visible.mean(axis=0)
    weights = rng.normal(0, 0.01, (visible.shape[1], units))
    start = mean if kind == "gaussian" else logit(mean.clip(0.01, 0.99))
    parameters = [weights, np.zeros(units), start]
    steps = [np.zeros_like(one) for one in parameters]
    parts = max(1, len(visible) // BATCH)
    for _ in range(EPOCHS):
        for rows in np.array_split(rng.permutation(len(visible)), parts):
            gradients = _contrastive_divergence(visible[rows], parameters, kind, rng)
            gradients[0] -= DECAY * parameters[0]
            for one, step, gradient in zip(parameters, steps, gradients, strict=True):
                step *= MOMENTUM
                step += RATES[kind] * gradient
                one += step
    return parameters[0], parameters[1]


def _contrastive_divergence(x, parameters, kind, rng):
    """Gradients of weights, hidden bias and visible bias, from one reconstruction."""
    weights, hidden_bias, visible_bias = parameters
    hidden = expit(x @ weights + hidden_bias)
    fired = rng.random(hidden.shape) < hidden
    seen = fired @ weights.T + visible_bias
    if kind == "binary":
        seen = expit(seen)
    again = expit(seen @ weights + hidden_bias)
    return [
        (x.T @ hidden - seen.T @ again) / len(x),
        (hidden - again).mean(axis=0),
        (x - seen).mean(axis=0),
    ]
