"""How accuracy grows with what there is to learn from, and what it costs.

Two ways of having less are compared: fewer artists with all their tracks, and all artists with
fewer tracks each. What is tested stays the same, so that all points of a curve are paired.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.evaluation import scoring
from genre_utils.experiments import measurements
from genre_utils.models import classical
from genre_utils.workspace import files, model_names

GRID = "learning_curve"
NAMES = ("cnn", "mlp", "svm", "logistic")  # a network, and the best of what is cheap
SHARES = (0.25, 0.5, 0.75)
BY = {"artists": "fewer artists, all their tracks", "tracks": "all artists, fewer tracks each"}
ALL = "all"  # what all data is called in the place of a way of having less
VERSION = 1  # of what is measured: another one is measured anew


def estimate(study: Path, names=NAMES, *, draws: int = 2) -> float:
    """Seconds that `measure` takes, from what training took in the study."""
    passes = draws * len(BY) * sum(SHARES)  # the whole is there already
    names = measurements.trained(study, names)
    return passes * sum(measurements.run_of(study, name)["training_seconds"] for name in names)


def measure(study: Path, names=NAMES, *, draws: int = 2) -> None:
    """Train models on parts of what each fold trains on, and store the answers; resumable.

    Parameters
    ----------
    study : Path
        ``predictions/learning_curve/NAME.parquet`` and ``.json`` are written.
    names : sequence of str
        Those of them that the study has trained are measured, with their settings.
    draws : int
        How many times artists and tracks are put in an order, of which a share takes the first.

    Raises
    ------
    ValueError
        If the study has a fixed split.
    """
    if why := measurements.one_look(study):
        raise ValueError(f"no learning curve is measured: {why}.")
    for name in measurements.trained(study, names):
        key = files.sha256(
            measurements.inputs(study), measurements.made_by(study, name), VERSION, draws, SHARES
        )
        if not measurements.is_stored(study, GRID, name, key):
            answers, sizes = _measured(study, name, draws)
            measurements.store(study, GRID, name, key, answers, model=name, sizes=sizes)


def _measured(study, name, draws):
    folds = pd.read_parquet(study / "folds.parquet")
    tracks = pd.read_parquet(study / "tracks.parquet")
    points = [(ALL, 1.0, 0)]
    points += [(by, share, draw) for draw in range(draws) for by in BY for share in SHARES]
    tables, sizes = [], []
    for number, (by, share, draw) in enumerate(points, 1):
        less = thinned(folds, tracks, by, share, seed=draw) if by != ALL else folds
        label = f"[{number}/{len(points)}] {name}, {by} {share:.0%}"
        said = scoring.track_probabilities(_predictions(study, name, less, label))
        point = {"by": by, "share": share, "draw": draw}
        tables.append(said[["track_id", "y_pred"]].assign(**point))
        sizes.append(point | _size(less))
    return pd.concat(tables, ignore_index=True), sizes


def _predictions(study, name, folds, label):
    """Out-of-fold predictions of a model that learned from the tracks in `folds`."""
    if name in measurements.CLASSICAL:
        data = classical.Data(study)
        data.folds = folds
        return classical.predict_folds(data, name)[0]
    from genre_utils.models import cross_validation, training_data

    settings, options = measurements.settings_of(study, name)
    data = training_data.load_data(study, folds)
    return cross_validation.out_of_fold(study, name, data, settings, label=label, **options)[0]


def thinned(folds, tracks, by: str, share: float, *, seed: int) -> pd.DataFrame:
    """Leave out a part of what each fold learns from; the test parts stay whole.

    Both the training and the inner validation part keep a share of the artists of each genre, or
    of the tracks of each artist, and at least one. A smaller share is part of a larger one, and
    the order is the same in every fold.

    Parameters
    ----------
    folds : pd.DataFrame
        track_id, fold, part, group.
    tracks : pd.DataFrame
        track_id and genre.
    by : {"artists", "tracks"}
    share : float
    seed : int
        Decides the order.

    Returns
    -------
    pd.DataFrame
        `folds` without the rows that are left out.
    """
    genre = folds["track_id"].map(tracks.set_index("track_id")["genre"])
    table = folds.assign(genre=genre)[folds["part"] != "test"]
    unit, within = ("group", "genre") if by == "artists" else ("track_id", "group")
    rng, cells = np.random.default_rng(seed), [table["fold"], table["part"], table[within]]
    rank = table[unit].map(_drawn(table[unit], rng)).groupby(cells).rank(method="dense")
    size = table[unit].groupby(cells).transform("nunique")
    luck = table[within].map(_drawn(table[within], rng))  # what a half of five is, once 2, once 3
    return folds.drop(index=table.index[(rank > 1) & (rank - luck > share * size)])


def _drawn(values, rng):
    """A number in [0, 1) for each distinct value."""
    names = np.sort(values.unique())
    return pd.Series(rng.random(len(names)), index=names)


def _size(folds):
    """Tracks and artists that a fold learns from, in the mean."""
    learning = folds[folds["part"] != "test"].groupby("fold")
    names = {"tracks": "track_id", "artists": "group"}
    return {name: learning[column].nunique().mean() for name, column in names.items()}


def curve(study: Path) -> pd.DataFrame:
    """Accuracy of whole tracks against the size of what was learned from.

    Returns
    -------
    pd.DataFrame
        model, by (artists or tracks; the whole is in both), share, tracks and artists that a fold
        learns from, accuracy (mean over the draws), low, high (95 % over artists).
        Empty if nothing is stored.
    """
    group, rows = measurements.group_of(study), []
    for model, sizes, right in _by_point(study):
        mean = right.T.groupby(level=["by", "share"], sort=False).mean().T
        table = measurements.accuracies(mean, mean.index.map(group)).join(sizes)
        whole = table.loc[ALL]
        for by in BY:
            both = pd.concat([table.loc[by], whole]).rename_axis("share").reset_index()
            rows.append(both.assign(model=model, by=by))
    if not rows:
        return pd.DataFrame()
    table = pd.concat(rows, ignore_index=True)
    columns = ["model", "by", "share", "tracks", "artists", "accuracy", "low", "high"]
    return table[columns]


def _by_point(study):
    """Model, sizes by point, and which answers are right: (tracks, (by, share, draw))."""
    genre, found = measurements.genre_of(study), measurements.stored(study, GRID)
    for record, answers in sorted(found.values(), key=lambda pair: _rank(pair[0]["model"])):
        answers = measurements.with_right(answers, genre)
        columns = ["by", "share", "draw"]
        wide = answers.pivot_table("right", "track_id", columns, aggfunc="first", sort=False)
        sizes = pd.DataFrame(record["sizes"]).groupby(["by", "share"])[["tracks", "artists"]].mean()
        yield record["model"], sizes, wide.astype(float)


def _rank(name):
    return model_names.MODEL_ORDER.index(name)


def comparisons(study: Path) -> pd.DataFrame:
    """Tell whether more data is worth it, and more of what.

    Returns
    -------
    pd.DataFrame
        model, question, difference, low, high (95 % over artists), p_value, p_holm
        (Holm over all rows), separable, tracks and other_tracks (what the two learn from). The
        questions: ``half``, all data less half of the artists; ``artists``, half of the tracks of
        every artist less all tracks of half of the artists.
    """
    group, rows = measurements.group_of(study), []
    for model, sizes, right in _by_point(study):
        half = {by: right[by][0.5] for by in BY}
        whole = pd.concat([right[ALL][1.0]] * half["artists"].shape[1], axis=1)
        tracks = sizes["tracks"]
        fewer = tracks["artists", 0.5]
        for question, one, learned in (
            ("half", whole, tracks[ALL, 1.0]),
            ("artists", half["tracks"], tracks["tracks", 0.5]),
        ):
            row = measurements.difference(one, half["artists"], right.index.map(group))
            row |= {"tracks": learned, "other_tracks": fewer}
            rows.append({"model": model, "question": question, **row})
    return measurements.judged(pd.DataFrame(rows))


# ------------------------------------------------------------------------------------ the cost


def costs(results: dict) -> pd.DataFrame:
    """Accuracy of every model beside its cost, and whether a cheaper one is as good.

    Parameters
    ----------
    results : dict
        Content of results.json.

    Returns
    -------
    pd.DataFrame
        Indexed by model: accuracy, low, high, training_seconds, parameters, and for both costs
        whether it is on the Pareto front (no other model is at least as accurate and cheaper, or
        more accurate and no dearer): ``on_front_training_seconds``, ``on_front_parameters``.
    """
    rows = {
        name: {
            "accuracy": model["accuracy"],
            **dict(zip(("low", "high"), model["ci95"]["accuracy"], strict=True)),
            **{cost: model[cost] for cost in ("training_seconds", "parameters")},
        }
        for name, model in results["models"].items()
    }
    table = pd.DataFrame(rows).T.astype(float)
    for cost in ("training_seconds", "parameters"):
        table[f"on_front_{cost}"] = on_front(table["accuracy"], table[cost])
    return table


def on_front(accuracy, cost) -> np.ndarray:
    """Whether no other model is as accurate and cheaper, or more accurate and no dearer.

    Parameters
    ----------
    accuracy, cost : array_like, shape (models,)
        A model whose cost is not a number is not on the front.

    Returns
    -------
    np.ndarray of bool, shape (models,)
    """
    accuracy, cost = np.asarray(accuracy, float), np.asarray(cost, float)
    other_accuracy, other_cost = accuracy[:, np.newaxis], cost[:, np.newaxis]
    no_worse = (other_accuracy >= accuracy) & (other_cost <= cost)
    better = (other_accuracy > accuracy) | (other_cost < cost)
    return ~(no_worse & better).any(axis=0) & np.isfinite(cost)
