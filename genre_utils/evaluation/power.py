"""Power: how much more music it would take to tell two models apart."""

import numpy as np
import pandas as pd
from scipy import fft, optimize, special

from genre_utils.evaluation import intervals

POWER = 0.8
MULTIPLES = (1, 1.5, 2, 3, 4, 6, 8, 12, 16)  # sizes of simulated corpora, ours being 1
MOST_GROUPS = 4000  # in a simulated corpus: the exact test gets slow beyond
STEEPEST = 500  # tilt beyond which one group is drawn and no other
OBSERVED, LARGEST = "as observed", "largest plausible"


def sign_flip_p_values(sums: np.ndarray) -> np.ndarray:
    """`comparisons.sign_flip_test` of many studies at once, exact up to rounding near 1e-12.

    The flipped sum has the characteristic function prod_k cos(theta d_k) (Pagano, Tritchler 1983),
    which a Fourier transform turns into its distribution.

    Parameters
    ----------
    sums : np.ndarray of int, shape (studies, groups)
        Of (a correct - b correct), by group.

    Returns
    -------
    np.ndarray, shape (studies,)
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

    The nearest to equal chances that do so are exponential in d_k - difference * n_k (Efron 1981,
    Canad. J. Stat. 9, nonparametric tilting).

    Parameters
    ----------
    sums, sizes : np.ndarray, shape (groups,)
        Of (a correct - b correct), and of the tracks.
    difference : float
        In accuracy.

    Returns
    -------
    np.ndarray, shape (groups,)
        None where no chances do so.
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


def power_curves(
    correct_a,
    correct_b,
    groups,
    *,
    level: float = intervals.LEVEL,
    draws: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """How often the sign-flip test would separate two models on larger corpora of the same kind.

    Larger corpora are drawn from the artists that we have, with replacement, and tested like ours.
    The true difference is not known, so two are assumed: the one that was observed, and the largest
    that its 95 % interval allows (`tilted_chances`). Simulated power from a pilot inherits the
    pilot's noise, which is why there are two.

    Parameters
    ----------
    correct_a, correct_b : array_like of bool, shape (tracks,)
    groups : array_like, shape (tracks,)
    level : float
        The difference counts as found where p is below.
    draws : int
        Corpora of each size.

    Returns
    -------
    pd.DataFrame
        assumed (OBSERVED or LARGEST), difference, groups, tracks (with as many by each as in ours),
        power.
    """
    one, other = np.asarray(correct_a, dtype=float), np.asarray(correct_b, dtype=float)
    rows = np.column_stack([one - other, np.ones(len(one))])
    sums, sizes = intervals.group_sums(rows, groups).T
    observed = sums.sum() / sizes.sum()
    low, high = intervals.difference_interval(one, other, groups)
    largest = high if observed >= 0 else low
    rng, rows = np.random.default_rng(seed), []
    for assumed, difference in ((OBSERVED, observed), (LARGEST, largest)):
        chances = tilted_chances(sums, sizes, difference)
        if chances is None:
            continue
        for count in (round(many * len(sums)) for many in MULTIPLES):
            if count <= max(MOST_GROUPS, len(sums)):
                drawn = rng.choice(sums, (draws, count), p=chances).round().astype(int)
                power = float((sign_flip_p_values(drawn) < level).mean())
                tracks = round(count * float(sizes.mean()))
                rows.append((assumed, float(difference), count, tracks, power))
    return pd.DataFrame(rows, columns=["assumed", "difference", "groups", "tracks", "power"])


def tracks_needed(curves: pd.DataFrame) -> pd.DataFrame:
    """Between which two sizes the power passes POWER, for each assumed difference.

    Returns
    -------
    pd.DataFrame
        assumed, difference, more_than and at_most (tracks); more_than is 0 where our own number
        suffices, and at_most NaN where none of the sizes does.
    """
    rows = []
    for (assumed, difference), curve in curves.groupby(["assumed", "difference"], sort=False):
        enough = (curve["power"] >= POWER).to_numpy()
        first = int(enough.argmax()) if enough.any() else len(curve)
        tracks = curve["tracks"].to_numpy()
        limits = (tracks[first - 1] if first else 0, tracks[first] if enough.any() else np.nan)
        rows.append((assumed, difference, *limits))
    return pd.DataFrame(rows, columns=["assumed", "difference", "more_than", "at_most"])


def of_pairs(correct: pd.DataFrame, groups, pairs: list[dict]) -> list[dict]:
    """Power for the pairs that are not separable, as results.json holds it.

    A primary pair is tested at 0.05 / the number of primary pairs, which is enough for Holm's
    correction whatever the other pairs are like; any other at 0.05.

    Parameters
    ----------
    correct : pd.DataFrame of bool, shape (tracks, models)
    groups : array_like, shape (tracks,)
    pairs : list of dict
        From `comparisons.main_pairs`.

    Returns
    -------
    list of dict
        a, b, level, curves (rows of `power_curves` by column) and needed (rows of `tracks_needed`).
    """
    primary, found = sum(pair["primary"] for pair in pairs), []
    for pair in pairs:
        if not pair["separable"]:
            level = intervals.LEVEL / (primary if pair["primary"] else 1)
            curves = power_curves(correct[pair["a"]], correct[pair["b"]], groups, level=level)
            needed = tracks_needed(curves).astype({"at_most": object})
            needed = needed.where(needed.notna(), None).to_dict("records")
            head = {"a": pair["a"], "b": pair["b"], "level": level}
            found.append(head | {"curves": curves.to_dict("list"), "needed": needed})
    return found


def table(power: list[dict]) -> pd.DataFrame:
    """Tracks that each pair would take, one row per pair, as text to be read.

    Parameters
    ----------
    power : list of dict
        From `of_pairs`.
    """
    rows = []
    for pair in power:
        curves = pd.DataFrame(pair["curves"])
        now = curves[curves["assumed"] == OBSERVED]["power"]
        row = {"pair": f"{pair['a']} and {pair['b']}"}
        row["power now"] = f"{now.iloc[0]:.0%}" if len(now) else ""
        row |= {f"tracks, {need['assumed']}": _as_range(need) for need in pair["needed"]}
        rows.append(row)
    return pd.DataFrame(rows).fillna("not known")


def _as_range(need):
    """`tracks_needed` in words."""
    difference = f"({100 * need['difference']:+.1f} points)"
    if need["at_most"] is None:
        return f"more than {need['more_than']:,.0f} {difference}"
    if not need["more_than"]:
        return f"our {need['at_most']:,.0f} would do {difference}"
    return f"{size(need)} {difference}"


def size(need):
    """Range of tracks that are needed."""
    least = f"{need['more_than']:,.0f} to" if need["more_than"] else "no more than our"
    return f"{least} {need['at_most']:,.0f}"
