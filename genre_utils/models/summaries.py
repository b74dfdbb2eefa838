"""Tables about networks that were trained: how well they learned, and what they got wrong."""

import pandas as pd

from genre_utils.evaluation import intervals, scoring
from genre_utils.workspace import model_names
from genre_utils.workspace.study_folder import StudyFolder


def overfitting_gap(run: dict) -> pd.Series:
    """Find how much better a network knows what it learned from than artists new to it.

    Parameters
    ----------
    run : dict
        What ``runs/NAME.json`` holds.

    Returns
    -------
    pd.Series
        Medians over the folds: epoch that was kept, and at it accuracy (training part),
        val_accuracy (inner validation part; NaN where that was trained on, too), their difference
        gap.
    """
    rows = [
        {key: values[fold["best_epoch"] - 1] for key, values in fold["history"].items()}
        | {"epoch": fold["best_epoch"]}
        for fold in run["folds"]
    ]
    kept = pd.DataFrame(rows).reindex(columns=["epoch", "accuracy", "val_accuracy"]).median()
    return pd.Series({**kept, "gap": kept["accuracy"] - kept["val_accuracy"]})


#: What `accuracy_table` reads from a run, and how it calls it.
_OF_A_RUN = {
    "parameters": "parameters",
    "multiply_adds_per_second": "multiply-adds per second",
    "epochs": "epochs",
    "training_cpu_seconds": "seconds",
}


def accuracy_table(stored: dict, study: StudyFolder) -> pd.DataFrame:
    """Compare models that were cross-validated.

    Parameters
    ----------
    stored : dict of str to (pd.DataFrame, dict)
        Predictions and run of each model, as `cross_validate` gives them.
    study : StudyFolder
        Of which they are.

    Returns
    -------
    pd.DataFrame
        By model: what it is, accuracy of whole tracks with low and high (95 % over artists), that
        of excerpts, parameters, multiply-adds per second, epochs (median), seconds of training
        (CPU, all folds); None where a model has none of them.
    """
    rows = {}
    for name, (predictions, run) in stored.items():
        tracks = scoring.track_probabilities(predictions)
        right = (tracks["y_pred"] == tracks["y_true"]).to_numpy(float)
        limits = intervals.accuracy_interval(right, tracks["track_id"].map(study.groups))
        own = {"is": model_names.described(name)[0], "accuracy": right.mean()}
        own |= dict(zip(("low", "high"), limits, strict=True))
        own["excerpts"] = scoring.plain_accuracy(predictions)["excerpts"]
        rows[name] = own | {column: run.get(key) for key, column in _OF_A_RUN.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def kept_table(study: StudyFolder, paths) -> pd.DataFrame:
    """List networks that `fit_final` has saved.

    Parameters
    ----------
    study : StudyFolder
        Where they are.
    paths : iterable of Path
        Their files.

    Returns
    -------
    pd.DataFrame
        A row per file: its name, size (kB) and the epochs it was trained for.
    """
    rows = [
        (path.name, round(path.stat().st_size / 1000), study.run(path.stem)["epochs"])
        for path in paths
    ]
    return pd.DataFrame(rows, columns=["in models/", "kB", "epochs"])


def excerpt_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Show how the excerpts of the first track became the prediction for it.

    Parameters
    ----------
    predictions : pd.DataFrame
        Such as `cross_validate` gives.

    Returns
    -------
    pd.DataFrame
        The probability of each genre as text, a row per excerpt and one for their mean.
    """
    own = predictions[predictions["track_id"] == predictions["track_id"].iloc[0]]
    table = own.set_index(own["excerpt"].astype(str))[scoring.probability_columns(own)]
    table.loc["mean"] = table.mean()
    table = table.rename(columns=lambda name: name.removeprefix("p_"))
    return table.map("{:.2f}".format).rename_axis("excerpt")


def surest_mistakes(predictions: pd.DataFrame) -> pd.DataFrame:
    """Find the three tracks about which a model was most certain and wrong.

    Parameters
    ----------
    predictions : pd.DataFrame
        Such as `cross_validate` gives.

    Returns
    -------
    pd.DataFrame
        Columns track_id, y_true, y_pred, probability (text), the most certain first; the index
        names them.
    """
    tracks = scoring.track_probabilities(predictions)
    wrong = tracks[tracks["y_pred"] != tracks["y_true"]]
    sure = wrong.assign(probability=wrong[scoring.probability_columns(wrong)].max(axis=1).round(2))
    order = sure.sort_values(["probability", "track_id"], ascending=[False, True]).head(3)
    order.index = order["track_id"] + ": " + order["y_true"] + ", predicted as " + order["y_pred"]
    order["probability"] = order["probability"].map("{:.2f}".format)
    return order[["track_id", "y_true", "y_pred", "probability"]]
