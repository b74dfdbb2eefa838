"""The numbers that Guo (2024), doi 10.62617/mcb.v21i1.373, printed: no goal, and not all true."""

import pandas as pd

from genre_utils.workspace import model_names

GENRES = ("rock", "pop", "classical", "jazz")
METRICS = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1"}
SETTINGS = {k: k.replace("_", " ") for k in ("learning_rate", "batch_size", "hidden_layers")}
#: Table 2 of Guo (2024): a row for each network, with its metrics, accuracies and settings.
PAPER = pd.DataFrame(
    [
        (0.92, 0.88, 0.75, 0.86, 0.93, 0.91, 0.85, 0.87, 1.5, 0.001, 32, 4),
        (0.75, 0.72, 0.82, 0.73, 0.81, 0.79, 0.90, 0.80, 2.0, 0.005, 64, 3),
        (0.85, 0.78, 0.68, 0.77, 0.88, 0.83, 0.84, 0.90, 1.8, 0.001, 32, 5),
    ],
    index=pd.Index(model_names.PAPER_MODELS, name="model"),
    columns=[*METRICS.values(), *GENRES, "hours", *SETTINGS.values()],
)
#: Its Table 1, which rates the same measures and genres by words, as printed.
WORDS = pd.DataFrame(
    [
        ["Best", "Excellent", "Poor", "Excellent", "High", "High", "Average", "Average"],
        ["Poor", "Average", "Good", "Average", "Average", "Average", "High", "Average"],
        ["Average", "Poor", "Poor", "Average", "Average", "Average", "Average", "Excellent"],
    ],
    index=PAPER.index,
    columns=[*METRICS.values(), *GENRES],
)
CALLED = {"cnn": "CNN", "rnn": "RNN", "hybrid": "hybrid"}  # in sentences
F1_BOUND = "macro F1 within 2PR/(P+R)"
BETWEEN = "genres as recalls, precisions or F1: accuracy lies between them"
_ROUNDING = 0.005  # half a unit of the last digit that the paper prints


def f1_bound(precision, recall):
    """Highest macro F1 that macro precision and recall allow: 2PR/(P+R) is concave (Jensen).

    Weights by support and means over folds change nothing (Opitz, Burst 2019, arXiv:1911.03347).
    """
    return 2 * precision * recall / (precision + recall)


def check_arithmetic(table: pd.DataFrame = PAPER) -> pd.DataFrame:
    """Check a table of results against arithmetic, and the paper's text against its table.

    Accuracy is a weighted mean of the genres' recalls (by true tracks), of their precisions (by
    predicted tracks) and of their F1 (by both), so it lies between the extremes of each. A wrong
    prediction is wrong for two genres against the rest.

    Parameters
    ----------
    table : pd.DataFrame
        As `PAPER`.

    Returns
    -------
    pd.DataFrame
        Columns model, claim, value, lowest, highest (what is required of the value), slack (what
        rounding of the printed digits can explain), verdict (consistent or inconsistent).

    Examples
    --------
    >>> from genre_utils import paper
    >>> paper.check_arithmetic()["verdict"].value_counts().to_dict()
    {'inconsistent': 10, 'consistent': 5}
    """
    rows = []
    for name, row in table.iterrows():
        genres = row[list(GENRES)]
        precision, recall, accuracy = row["precision"], row["recall"], row["accuracy"]
        bound = f1_bound(precision, recall)
        slack = _ROUNDING + f1_bound(precision + _ROUNDING, recall + _ROUNDING) - bound
        errors, twice = (1 - genres).sum(), 2 * (1 - accuracy)
        rows += [
            (name, F1_BOUND, row["F1"], 0, bound, slack),
            (name, BETWEEN, accuracy, genres.min(), genres.max(), 2 * _ROUNDING),
            (name, "genres as recalls: macro recall is their mean",
             recall, genres.mean(), genres.mean(), 2 * _ROUNDING),
            (name, "genres as one against the rest: errors sum to 2(1 \N{MINUS SIGN} accuracy)",
             errors, twice, twice, (len(genres) + 2) * _ROUNDING),
        ]  # fmt: skip
    for label in ("precision", "recall", "F1"):
        claim, column = f"text: the hybrid is lowest in {label}", table[label]
        others = column.drop("hybrid").min()
        rows.append(("hybrid", claim, column["hybrid"], 0, others, 2 * _ROUNDING))
    columns = ["model", "claim", "value", "lowest", "highest", "slack"]
    checked = pd.DataFrame(rows, columns=columns)
    excess = (checked["lowest"] - checked["value"]).clip(checked["value"] - checked["highest"])
    fits = excess <= checked["slack"] + 1e-9
    return checked.assign(verdict=fits.map({True: "consistent", False: "inconsistent"}))
