"""How accuracy grows with what is learned from; the tests stay, so that all points are paired."""

import numpy as np
import pandas as pd

from genre_utils.evaluation import scoring
from genre_utils.experiments import measurements
from genre_utils.workspace.study_folder import StudyFolder

GRID = "learning_curve"
NAMES = ("cnn", "mlp", "svm", "logistic")  # a network, and the best of what is cheap
SHARES = (0.25, 0.5, 0.75)
BY = ("artists", "tracks")  # fewer artists with all their tracks, or all with fewer tracks each
ALL = "all"  # what all data is called in the place of a way of having less
DRAWS = 2  # orders of artists and tracks, of which a share takes the first
QUESTIONS = {
    "half": "all artists less half of them",
    "artists": "half the tracks of all artists less all of half the artists",
}


def obstacle(study: StudyFolder) -> str:
    """Why no learning curve can be measured in a study; empty if it can."""
    if not measurements.trained(study, NAMES):
        return f"it is measured for {', '.join(NAMES)}, and none was trained"
    return measurements.obstacle(study)


def estimate(study: StudyFolder) -> float:
    """Seconds that `measure` takes: the whole is there already."""
    folds = DRAWS * len(BY) * sum(SHARES) * study.folds["fold"].nunique()
    return measurements.seconds(study, NAMES, folds)


def measure(study: StudyFolder) -> None:
    """Train models on parts of what each fold trains on, and store what they predict; resumable.

    Measured are those of `NAMES` that the study has trained, with their settings. A ValueError says
    what stands in the way (see `obstacle`).
    """
    decides = measurements.made(study, NAMES)
    for name, key in measurements.left(study, GRID, decides, obstacle).items():
        predictions, sizes = _measured(study, name)
        measurements.store(study, GRID, name, key, predictions, model=name, sizes=sizes)


def _measured(study, name):
    """Predictions of a model at each point of its curve, and what it learned from there."""
    points = [(ALL, 1.0, 0), *((b, s, draw) for draw in range(DRAWS) for b in BY for s in SHARES)]
    tables, sizes = [], []
    for number, (by, share, draw) in enumerate(points, 1):
        less = thinned(study.folds, study.genre_of, by, share, draw) if by != ALL else study.folds
        label = f"[{number}/{len(points)}] {name}, {by} {share:.0%}"
        found = scoring.track_probabilities(measurements.predict(study, name, less, label))
        point = {"by": by, "share": share, "draw": draw}
        tables.append(found[["track_id", "y_pred"]].assign(**point))
        learning = less[less["part"] != "test"].groupby("fold")
        means = {"tracks": "track_id", "artists": "group"}  # that a fold learns from
        sizes.append(point | {size: learning[of].nunique().mean() for size, of in means.items()})
    return pd.concat(tables, ignore_index=True), sizes


def thinned(folds, genre_of, by, share, seed):
    """Leave out what folds learn from, but for a share of each genre's artists, or their tracks."""
    table = folds.assign(genre=folds["track_id"].map(genre_of))[folds["part"] != "test"]
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


def curve(study: StudyFolder) -> pd.DataFrame:
    """Accuracy of whole tracks against the size of what was learned from.

    Gives model, by (artists or tracks; the whole is in both), share, tracks and artists that a fold
    learns from, accuracy (mean over the draws), low, high (95 % over artists). Empty if nothing is
    stored.
    """
    rows = []
    for model, sizes, right, groups in _by_point(study):
        table = measurements.accuracies(right, groups, ["by", "share"]).join(sizes)
        for by in BY:
            both = pd.concat([table.loc[by], table.loc[ALL]]).rename_axis("share").reset_index()
            rows.append(both.assign(model=model, by=by))
    columns = ["model", "by", "share", "tracks", "artists", "accuracy", "low", "high"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame()


def _by_point(study):
    """Model, sizes by point, which tracks are right, (tracks, (by, share, draw)), their artists."""
    for record, predictions in measurements.by_model(study, GRID):
        point = ["by", "share", "draw"]
        right = measurements.correct(predictions, study.genre_of, "track_id", point)
        sizes = pd.DataFrame(record["sizes"]).groupby(point[:2])[["tracks", "artists"]].mean()
        yield record["model"], sizes, right, right.index.map(study.groups)


def compare(study: StudyFolder) -> pd.DataFrame:
    """Tell whether more data is worth it, and more of what.

    Gives model, question (of `QUESTIONS`), difference, low, high (95 % over artists), p_value,
    p_holm (Holm over all rows), separable, tracks and other_tracks (what the two learn from). Empty
    if nothing is stored.
    """
    rows = []
    for model, sizes, right, groups in _by_point(study):
        for question, (by, share) in {"half": (ALL, 1.0), "artists": ("tracks", 0.5)}.items():
            row = measurements.difference(right[by][share], right["artists"][0.5], groups)
            row["tracks"] = sizes["tracks"][by, share]
            row["other_tracks"] = sizes["tracks"]["artists", 0.5]
            rows.append({"model": model, "question": question, **row})
    return measurements.judged(pd.DataFrame(rows))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`compare` as a table to be read."""
    sizes = table[["tracks", "other_tracks"]].round().astype(int).astype(str)
    columns = {
        "model": table["model"],
        "difference": table["question"].map(QUESTIONS),
        "tracks a fold": sizes["tracks"] + " and " + sizes["other_tracks"],
    }
    return measurements.readable(table, columns)
