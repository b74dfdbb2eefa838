"""Power: how much more music it would take to tell two models apart."""

import numpy as np
import pandas as pd
from scipy import fft, optimize, special

from genre_utils.evaluation import intervals
from genre_utils.workspace import files

POWER = 0.8
MULTIPLES = (1, 1.5, 2, 3, 4, 6, 8, 12, 16)  # sizes of simulated corpora, ours being 1
MOST_GROUPS = 4000  # in a simulated corpus: the exact test gets slow beyond
DRAWS = 200  # simulated corpora of each size
STEEPEST = 500  # tilt beyond which one group is drawn and no other
OBSERVED, LARGEST = "as observed", "largest plausible"


def sign_flip_p_values(sums: np.ndarray) -> np.ndarray:
    """`comparisons.sign_flip_test` of many studies at once, exact up to rounding near 1e-12.

    A Fourier transform turns the characteristic function prod_k cos(theta d_k) (Pagano, Tritchler
    1983) into the distribution. `sums` of (a correct - b correct) are (studies, groups).
    """
    sums = np.asarray(sums, dtype=int)
    steps, total = abs(sums), abs(sums.sum(axis=1))
    length = fft.next_fast_len(2 * int(steps.sum(axis=1).max()) + 1, real=True)
    sizes = np.unique(steps[steps > 0])
    if not len(sizes):
        return np.ones(len(sums))
    counts = np.stack([(steps == size).sum(axis=1) for size in sizes], axis=1).astype(float)
    wave = np.cos(2 * np.pi * sizes[:, np.newaxis] * np.arange(length // 2 + 1) / length)
    negative = (counts @ (wave < 0)) % 2
    size = np.exp(counts @ np.log(np.maximum(abs(wave), 1e-300)))
    chance = fft.irfft(size * (1 - 2 * negative), length, axis=1)
    below = np.cumsum(chance, axis=1)  # of the sums 0..s; those below zero are as likely
    inside = 2 * below[np.arange(len(sums)), np.maximum(total - 1, 0)] - chance[:, 0]
    return np.where(total == 0, 1.0, np.clip(1 - inside, 0, 1))


def tilted_chances(sums: np.ndarray, sizes: np.ndarray, difference: float) -> np.ndarray | None:
    """Chances of drawing each group at which the expected difference is the given one.

    Exponential in d_k - difference * n_k (Efron 1981, Canad. J. Stat. 9, nonparametric tilting);
    None where no chances do so. `sums` of (a correct - b correct) and `sizes` are (groups,).
    """
    excess = np.asarray(sums) - difference * np.asarray(sizes)
    reach = abs(excess).max()
    if reach <= intervals.NOTHING:
        return None

    def chances(slope):
        return special.softmax(slope * excess / reach)

    if chances(-STEEPEST) @ excess >= 0 or chances(STEEPEST) @ excess <= 0:
        return None
    slope = optimize.brentq(lambda slope: chances(slope) @ excess, -STEEPEST, STEEPEST)
    return chances(slope)


def power_curves(correct_a, correct_b, groups, level: float = intervals.LEVEL) -> pd.DataFrame:
    """How often the sign-flip test would tell two models apart on larger corpora of the same kind.

    Larger corpora are drawn from our artists, with replacement. The true difference is not known,
    so two are assumed: the one observed, and the largest that its 95 % interval allows. Columns:
    assumed (OBSERVED or LARGEST), difference, groups, tracks, power.
    """
    one, other = np.asarray(correct_a, dtype=float), np.asarray(correct_b, dtype=float)
    columns = np.column_stack([one - other, np.ones(len(one))])
    sums, sizes = intervals.group_sums(columns, groups).T
    observed = sums.sum() / sizes.sum()
    largest = intervals.difference_interval(one, other, groups)[int(observed >= 0)]
    rng, rows = np.random.default_rng(0), []
    for assumed, difference in ((OBSERVED, observed), (LARGEST, largest)):
        chances = tilted_chances(sums, sizes, difference)
        if chances is None:
            continue
        for count in (round(many * len(sums)) for many in MULTIPLES):
            if count <= max(MOST_GROUPS, len(sums)):
                drawn = rng.choice(sums, (DRAWS, count), p=chances).round().astype(int)
                power = float((sign_flip_p_values(drawn) < level).mean())
                tracks = round(count * float(sizes.mean()))
                rows.append((assumed, float(difference), count, tracks, power))
    return pd.DataFrame(rows, columns=["assumed", "difference", "groups", "tracks", "power"])


def tracks_needed(curves: pd.DataFrame) -> pd.DataFrame:
    """Between which two numbers of tracks the power passes POWER, for each assumed difference.

    `more_than` is 0 where our own number suffices, `at_most` NaN where none of the sizes does.
    """
    rows = []
    for (assumed, difference), curve in curves.groupby(["assumed", "difference"], sort=False):
        limits = [0, *curve["tracks"], np.nan]
        below = [*(curve["power"] >= POWER), True].index(True)
        rows.append((assumed, difference, limits[below], limits[below + 1]))
    return pd.DataFrame(rows, columns=["assumed", "difference", "more_than", "at_most"])


def of_pairs(correct: pd.DataFrame, groups, pairs: list[dict]) -> list[dict]:
    """Power for the pairs, of `main_pairs`, that are not significantly different.

    Primary pairs are tested at 0.05 / their number, which is enough for Holm's correction. Each has
    a, b, level, curves (`power_curves`) and needed (`tracks_needed`), as in results.json.
    """
    primary, found = sum(pair["primary"] for pair in pairs), []
    for pair in pairs:
        if not pair["separable"]:
            level = intervals.LEVEL / (primary if pair["primary"] else 1)
            curves = power_curves(correct[pair["a"]], correct[pair["b"]], groups, level)
            needed = files.plain(tracks_needed(curves).to_dict("records"))
            head = {"a": pair["a"], "b": pair["b"], "level": level}
            found.append(head | {"curves": curves.to_dict("list"), "needed": needed})
    return found
