"""Tables about networks that were trained: how well they learned, and what they got wrong."""

import pandas as pd

from genre_utils.evaluation import intervals, scoring
from genre_utils.workspace import model_names


def overfitting_gap(run: dict) -> pd.Series:
    """Find how much better a network knows what it learned from than artists new to it.

    Parameters
    ----------
    run : dict
        What ``runs/NAME.json`` holds.

    Returns
    -------
    pd.Series
        Medians over the folds, at the epoch that was kept: accuracy (training part), val_accuracy
        (inner validation part; NaN where that was trained on, too), their difference gap.
    """
    rows = [
        {key: values[fold["best_epoch"] - 1] for key, values in fold["history"].items()}
        for fold in run["folds"]
    ]
    kept = pd.DataFrame(rows).reindex(columns=["accuracy", "val_accuracy"]).median()
    return pd.Series({**kept, "gap": kept["accuracy"] - kept["val_accuracy"]})


#: What a model costs: keys of its run, and what they are called.
COSTS = {"parameters": "parameters", "multiply_adds_per_second": "multiply-adds/s",
         "epochs": "epochs", "training_cpu_seconds": "CPU time (s)"}  # fmt: skip


def accuracy_table(stored: dict, groups: pd.Series) -> pd.DataFrame:
    """Compare models that were cross-validated.

    Parameters
    ----------
    stored : dict of str to (pd.DataFrame, dict)
        Predictions and run of each model, as `cross_validate` gives them.
    groups : pd.Series
        Of each track_id, its artists (`StudyFolder.groups`).

    Returns
    -------
    pd.DataFrame
        By model: what it is, accuracy of whole tracks with low and high (95 % over artists), that
        of excerpts, and `COSTS` (CPU time to train all folds, median epochs).
    """
    rows = {}
    for name, (predictions, run) in stored.items():
        tracks = scoring.track_probabilities(predictions)
        right = tracks["y_pred"] == tracks["y_true"]
        low, high = intervals.accuracy_interval(right, tracks["track_id"].map(groups))
        rows[name] = {"what it is": model_names.described(name)[0]}
        rows[name] |= scoring.plain_accuracy(predictions) | {"low": low, "high": high}
        rows[name] |= {title: run.get(key) for key, title in COSTS.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def surest_mistakes(predictions: pd.DataFrame) -> pd.DataFrame:
    """Find the three tracks about which a model was most certain and wrong.

    Parameters
    ----------
    predictions : pd.DataFrame
        Such as `cross_validate` gives.

    Returns
    -------
    pd.DataFrame
        Columns track_id, y_true, y_pred, probability (text); the surest first, named in the index.
    """
    tracks = scoring.track_probabilities(predictions)
    wrong = tracks[tracks["y_pred"] != tracks["y_true"]]
    highest = wrong[scoring.probability_columns(wrong)].max(axis=1)
    sure = wrong.assign(probability=highest.map("{:.2f}".format), sure=highest.round(6))
    order = sure.sort_values(["sure", "track_id"], ascending=[False, True]).head(3)
    order.index = order["track_id"] + ": " + order["y_true"] + ", predicted as " + order["y_pred"]
    return order[["track_id", "y_true", "y_pred", "probability"]]
