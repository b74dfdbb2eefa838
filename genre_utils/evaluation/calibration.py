"""Temperature scaling (Guo et al. 2017, On calibration of modern neural networks, ICML)."""

import numpy as np

TINY = 1e-12  # probabilities below count as this, so that their logarithm is finite


def temperature(p, true) -> float:
    """Temperature, between 0.1 and 10, at which `apply_temperature` makes the truth most likely."""
    from scipy import optimize  # slow to load, and no recogniser fits a temperature

    def mean_loss(log_temperature):
        return cross_entropy(apply_temperature(p, np.exp(log_temperature)), true).mean()

    reach = np.log(10)
    return float(np.exp(optimize.minimize_scalar(mean_loss, bounds=(-reach, reach)).x))


def apply_temperature(p, temperature) -> np.ndarray:
    """Probabilities p^(1/T), scaled to sum to 1 over the last axis; one T for all, or for each."""
    powers = np.log(np.maximum(p, TINY)) / np.expand_dims(temperature, -1)
    powers = np.exp(powers - powers.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def cross_entropy(p, true) -> np.ndarray:
    """Loss of each track, -log of the probability of its true genre, in nats."""
    return -np.log(np.maximum(p[np.arange(len(p)), true], TINY))
