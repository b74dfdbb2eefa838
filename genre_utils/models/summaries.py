"""Tables about networks that were trained: how well they learned, and what they got wrong."""

import pandas as pd

from genre_utils.evaluation import scoring


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


def accuracy_table(stored: dict) -> pd.DataFrame:
    """Compare models that were cross-validated.

    Parameters
    ----------
    stored : dict of str to (pd.DataFrame, dict)
        Predictions and run of each model, as `cross_validate` gives them.

    Returns
    -------
    pd.DataFrame
        By model: accuracy of whole tracks and of excerpts, parameters, median of epochs kept.
    """
    rows = {}
    for name, (predictions, run) in stored.items():
        rows[name] = scoring.plain_accuracy(predictions)
        rows[name] |= {"parameters": run.get("parameters"), "epochs, median": run.get("epochs")}
    return pd.DataFrame.from_dict(rows, orient="index")


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
        Columns track_id, y_true, y_pred, probability, the most certain first; the index names them.
    """
    tracks = scoring.track_probabilities(predictions)
    wrong = tracks[tracks["y_pred"] != tracks["y_true"]]
    sure = wrong.assign(probability=wrong[scoring.probability_columns(wrong)].max(axis=1).round(2))
    order = sure.sort_values(["probability", "track_id"], ascending=[False, True]).head(3)
    order.index = order["track_id"] + ": " + order["y_true"] + ", predicted as " + order["y_pred"]
    return order[["track_id", "y_true", "y_pred", "probability"]]
