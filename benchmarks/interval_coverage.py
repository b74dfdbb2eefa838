"""How often the study's 95 % intervals hold the truth, in simulated studies.

    python benchmarks/run.py interval_coverage

Artists differ in how well they are recognised (beta distribution), and are of equal size or as
uneven as in GTZAN. Measured are the intervals of the accuracy, of a difference of two models, of
every metric from a confusion matrix, and of the calibration error. Takes about a minute.
"""

import measuring
import numpy as np
import pandas as pd
from scipy import stats

from genre_utils.evaluation import coverage, intervals, reliability
from genre_utils.evaluation.metrics import metric_intervals, metrics_from_confusion

#: Tracks of each artist in GTZAN's rock, pop, classical and jazz (train part), collaborations tied.
GTZAN = {
    "rock": (1, 7, 7, 7, 8, 8, 9, 10, 11),
    "pop": (1, 1, 1, 1, 3, 5, 7, 7, 9, 19),
    "classical": (1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4, 4, 5, 6, 7, 11, 14),
    "jazz": (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 8, 9, 14, 15),
}
#: Share of the tracks of a genre (row) that a model of middling skill takes for each (column).
PREDICTED = np.array(
    [
        [0.71, 0.21, 0.03, 0.05],
        [0.13, 0.80, 0.05, 0.02],
        [0.04, 0.02, 0.90, 0.04],
        [0.07, 0.03, 0.12, 0.78],
    ]
)
ARTISTS = (12, 20, 40, 53, 80)


def sizes_of(kind: str, artists: int) -> np.ndarray:
    """Tracks of each artist: five each ("equal"), or uneven as in GTZAN ("uneven")."""
    if kind == "equal":
        return np.full(artists, 5)
    known = np.concatenate([*GTZAN.values()])
    return np.quantile(known, (np.arange(artists) + 0.5) / artists).round().astype(int)


def accuracies(simulations: int, numbers=ARTISTS) -> pd.DataFrame:
    """Coverage of the interval of an accuracy: sizes, artists, accuracy, icc, `coverage`."""
    rows = [
        {"sizes": kind, "artists": artists, "accuracy": accuracy, "icc": icc}
        | coverage.coverage(sizes_of(kind, artists), accuracy, icc, simulations)
        for kind in ("uneven", "equal")
        for artists in numbers
        for accuracy in (0.6, 0.8, 0.95)
        for icc in (0.1, 0.3)
    ]
    return pd.DataFrame(rows)


def differences(simulations: int, seed: int = 0) -> pd.DataFrame:
    """Coverage of the interval of a difference between two models on the same tracks.

    On a share of the tracks both predict the same; on the others each has its own skill for
    every artist.
    """
    rows, rng = [], np.random.default_rng(seed)
    for kind in ("uneven", "equal"):
        for artists in ARTISTS:
            sizes = sizes_of(kind, artists)
            for better, worse in ((0.8, 0.8), (0.8, 0.65)):
                alone = rng.binomial(sizes, 0.4, (simulations, artists))
                skills = [rng.beta(p / 0.3 - p, (1 - p) / 0.3 - (1 - p), alone.shape)
                          for p in (better, worse)]  # fmt: skip
                right = np.stack([rng.binomial(alone, skill) for skill in skills], axis=-1)
                whole = np.broadcast_to(sizes[:, np.newaxis], right.shape)
                estimate = intervals.combined_ratios(right, whole, (1.0, -1.0))
                truth, limits = 0.4 * (better - worse), intervals.change_interval(estimate)
                row = {"sizes": kind, "artists": artists, "difference": truth}
                rows.append(row | coverage.held(limits, truth))
    return pd.DataFrame(rows)


def metrics(simulations: int, icc: float = 0.3, seed: int = 0) -> pd.DataFrame:
    """Coverage of the interval of each metric, with the artists of GTZAN: metric, genre, coverage.

    Each artist's predictions are drawn around the row of PREDICTED of its genre (Dirichlet).
    """
    rng, genres, parts = np.random.default_rng(seed), list(GTZAN), []
    for k, sizes in enumerate(GTZAN.values()):
        shares = rng.dirichlet(PREDICTED[k] * (1 / icc - 1), (simulations, len(sizes)))
        confusion = np.zeros((simulations, len(sizes), len(genres), len(genres)))
        confusion[..., k, :] = rng.multinomial(sizes, shares)
        parts.append(confusion)
    expected = PREDICTED * [[sum(sizes)] for sizes in GTZAN.values()]
    truth = metrics_from_confusion(expected)
    rows = []
    for name, limits in metric_intervals(np.concatenate(parts, axis=1)).items():
        if name.startswith("genre_"):
            rows += [
                {"metric": name.removeprefix("genre_"), "genre": genre}
                | coverage.held(limits[..., k], truth[name][k])
                for k, genre in enumerate(genres)
            ]
        else:
            rows.append({"metric": name, "genre": "all"} | coverage.held(limits, truth[name]))
    return pd.DataFrame(rows)


def calibration_errors(simulations: int, icc: float = 0.3, seed: int = 0) -> pd.DataFrame:
    """Coverage of the interval of the expected calibration error.

    A track of confidence c is right with chance c^(1 + overconfident); artists are alike by a
    normal variable of their own.
    """
    rng, rows = np.random.default_rng(seed), []
    many = 0.25 + 0.75 * rng.beta(3, 1, 100_000)
    for kind, artists in (("uneven", 53), ("equal", 80)):
        group = np.repeat(np.arange(artists), sizes_of(kind, artists))
        for overconfident in (0.0, 0.3, 1.0):
            truth, limits = abs(many ** (1 + overconfident) - many).mean(), []
            for _ in range(simulations):
                confidence = 0.25 + 0.75 * rng.beta(3, 1, len(group))
                own, shared = rng.normal(size=len(group)), rng.normal(size=artists)[group]
                latent = np.sqrt(icc) * shared + np.sqrt(1 - icc) * own
                right = latent < stats.norm.ppf(confidence ** (1 + overconfident))
                error = reliability.expected_calibration_error(confidence, right, group)
                limits.append(error["ece_ci95"])
            row = {"sizes": kind, "artists": artists, "error": float(truth)}
            rows.append(row | coverage.held(np.transpose(limits), truth))
    return pd.DataFrame(rows)


def measure(simulations: int = 1000) -> dict:
    """All coverages, as the JSON file holds them."""
    tables = {
        "accuracies": accuracies(simulations),
        "differences": differences(simulations),
        "metrics": metrics(simulations),
        "calibration_errors": calibration_errors(simulations // 4),
    }
    rounded = {name: table.round(4).to_dict("records") for name, table in tables.items()}
    return {"simulations": simulations} | rounded | told(tables["accuracies"], simulations)


def told(table: pd.DataFrame, simulations: int) -> dict:
    """What the coverage of the interval of an accuracy comes to: sentences and figures."""
    usual = table[table["accuracy"] < 0.9]
    sides = {"ours": usual["coverage"], "a plain bootstrap": usual["bootstrap_coverage"]}
    says = [
        f"Of {simulations:,} simulated studies, {name} holds the true accuracy, where it is below "
        f"0.9, in {100 * held.min():.1f} to {100 * held.max():.1f} %."
        for name, held in sides.items()
    ]
    figures = {
        f"least coverage of 95 % intervals, {name}": measuring.figure(float(held.min()))
        for name, held in sides.items()
    }
    return {"says": says, "figures": figures}


def main():
    """Measure, print what came out, and write it as JSON if asked to."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    options = parser.parse_args()
    result = measure(40 if options.quick else options.simulations)
    for name in ("accuracies", "differences", "metrics", "calibration_errors"):
        print(f"\n{name}\n{pd.DataFrame(result[name]).to_string(index=False)}")
    measuring.show(result, options.json)


if __name__ == "__main__":
    main()
