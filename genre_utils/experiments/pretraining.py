"""What pretraining buys: accuracy by how many artists with a known genre are learned from."""

import pandas as pd

from genre_utils.evaluation import scoring
from genre_utils.experiments import learning_curve, measurements
from genre_utils.models import classical, pretrained
from genre_utils.workspace.study_folder import StudyFolder

GRID = "pretraining"
NAMES = ("pretrained", "logistic")  # the same kind of model, on what musicnn hears and on features
SHARES = (0.1, 0.25, 0.5, 1.0)
DRAWS = 2  # orders of the artists, of which a share takes the first
POINT = ["share", "draw"]


def obstacle(study: StudyFolder) -> str:
    """Why nothing can be measured in a study; empty if it can."""
    if len(measurements.trained(study, NAMES)) < len(NAMES):
        return f"it needs {' and '.join(NAMES)}, and not both were trained"
    return measurements.obstacle(study)


def measure(study: StudyFolder) -> None:
    """Train both on fewer artists, and store what they predict, unless there is an `obstacle`."""
    decides = measurements.made(study, NAMES)
    for name, key in measurements.left(study, GRID, decides, obstacle).items():
        predictions, sizes = _measured(study, name)
        measurements.store(study, GRID, name, key, predictions, model=name, sizes=sizes)


def _measured(study, name):
    """Predictions of a model at each point of its curve, and how many artists it learned from."""
    tables, sizes = [], []
    for share, draw in ((s, d) for s in SHARES for d in range(DRAWS if s < 1 else 1)):
        less = learning_curve.thinned(study.folds, study.genre_of, "artists", share, draw)
        if name == "pretrained":
            found = pretrained.predict_folds(pretrained.Data(study, less), name)[0]
        else:
            found = classical.predict_folds(classical.Data(study, less), name)[0]
        point = {"share": share, "draw": draw}
        tables.append(scoring.track_probabilities(found)[["track_id", "y_pred"]].assign(**point))
        learned = less[less["part"] != "test"].groupby("fold")["group"].nunique()
        sizes.append(point | {"artists": float(learned.mean())})
    return pd.concat(tables, ignore_index=True), sizes


def curve(study: StudyFolder) -> pd.DataFrame:
    """Accuracy of whole tracks by the artists that a fold learns from.

    Gives model, share, artists, accuracy (mean over the draws), low and high (95 % over artists).
    Empty if nothing is stored.
    """
    tables = []
    for record, predictions in measurements.by_model(study, GRID):
        right = measurements.correct(predictions, study.genre_of, "track_id", POINT)
        table = measurements.accuracies(right, right.index.map(study.groups), ["share"])
        sizes = pd.DataFrame(record["sizes"]).groupby("share")["artists"].mean()
        tables.append(table.join(sizes).reset_index().assign(model=record["model"]))
    columns = ["model", "share", "artists", "accuracy", "low", "high"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame()
