"""The paper's claims beside our numbers, and the arithmetic of the paper's own table.

Guo (2024), doi 10.62617/mcb.v21i1.373. Its numbers are reference lines, never a goal.
"""

import pandas as pd

MODELS = ("cnn", "rnn", "hybrid")
GENRES = ("rock", "pop", "classical", "jazz")
METRICS = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1"}
SETTINGS = {
    "learning_rate": "learning rate",
    "batch_size": "batch size",
    "hidden_layers": "hidden layers",
}
PAPER = pd.DataFrame(
    [
        (0.92, 0.88, 0.75, 0.86, 0.93, 0.91, 0.85, 0.87, 1.5, 0.001, 32, 4),
        (0.75, 0.72, 0.82, 0.73, 0.81, 0.79, 0.90, 0.80, 2.0, 0.005, 64, 3),
        (0.85, 0.78, 0.68, 0.77, 0.88, 0.83, 0.84, 0.90, 1.8, 0.001, 32, 5),
    ],
    index=pd.Index(MODELS, name="model"),
    columns=[*METRICS.values(), *GENRES, "hours", *SETTINGS.values()],
)
ROUNDING = 0.005  # half a unit of the last digit that the paper prints
LEVELS = ((0.85, "Excellent"), (0.75, "Good"), (0.60, "Average"), (0.0, "Poor"))
UNSURE = " (not separable)"


def _their_row(name: str, genres: list[str], cell) -> dict:
    """Row of Table 2 as printed; a genre that the paper does not have stays empty."""
    claimed = PAPER.loc[name]
    row = {label: cell(claimed[label], None) for label in METRICS.values()}
    row |= {genre: cell(claimed.get(genre.lower()), None) for genre in genres}
    row["training"] = f"{claimed['hours']} h"
    return row | {label: claimed[label] for label in SETTINGS.values()}


def _our_row(model: dict, genres: list[str], cell, per_genre: str) -> dict:
    """Row of Table 2 from one of results["models"]."""
    row = {label: cell(model[key], model["ci95"][key]) for key, label in METRICS.items()}
    for genre in genres:
        numbers = model["per_genre"][genre]
        row[genre] = cell(numbers[per_genre], numbers["ci95"][per_genre])
    seconds = model["training_seconds"]
    row["training"] = "" if seconds is None else duration(seconds)
    return row | {label: model["hyperparameters"].get(key) for key, label in SETTINGS.items()}


def table_2(results: dict, per_genre: str = "recall", cell=lambda value, _: value) -> pd.DataFrame:
    """Put each row of the paper's Table 2 below ours, and our further models below them.

    A model with the settings that the paper names comes first, with searched ones second.

    Parameters
    ----------
    results : dict
        Content of results.json.
    per_genre : {"recall", "accuracy", "precision", "f1"}
        What our genre columns hold. The paper does not say what its own are.
    cell : callable
        (value, [low, high] or None) -> what the table shows; by default the number.

    Returns
    -------
    DataFrame
        Index model, source ("this study", "this study, tuned" or "paper"). Training is minutes for
        ours, hours for the paper, on hardware that it does not name: not comparable.
    """
    ours, genres, rows = results["models"], results["corpus"]["genres"], {}
    own = {name.removesuffix("_tuned") for name in ours}
    for name in (*MODELS, *(name for name in ours if name in own and name not in MODELS)):
        for variant, source in ((name, "this study"), (f"{name}_tuned", "this study, tuned")):
            if variant in ours:
                rows[name, source] = _our_row(ours[variant], genres, cell, per_genre)
        if name in MODELS:
            rows[name, "paper"] = _their_row(name, genres, cell)
    table = pd.DataFrame(rows.values(), index=pd.MultiIndex.from_tuples(rows))
    table[["batch size", "hidden layers"]] = table[["batch size", "hidden layers"]].convert_dtypes()
    return table.rename_axis(["model", "source"])


def with_intervals(results: dict, per_genre: str = "recall") -> pd.DataFrame:
    """`table_2` as text with 95 % intervals: 0.74 [0.66, 0.81]."""
    return table_2(results, per_genre, cell=as_text)


def as_text(value, limits=None) -> str:
    """Write 0.74 [0.66, 0.81]; without limits 0.74, without a value nothing."""
    if value is None or pd.isna(value):
        return ""
    return f"{value:.2f}" + (f" [{limits[0]:.2f}, {limits[1]:.2f}]" if limits else "")


def duration(seconds: float) -> str:
    """Write a duration: 42 s, or 2.0 min from a minute on."""
    return f"{seconds:.0f} s" if seconds < 59.5 else f"{seconds / 60:.1f} min"


def p_text(value) -> str:
    """Write a p value: 0.031, or < 0.001; without a value nothing."""
    if value is None or pd.isna(value):
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def rate(values: pd.Series) -> pd.Series:
    """Words for shares: the highest of several is Best, the others go by LEVELS.

    The rule is ours: of the paper's Table 1 only the vocabulary is taken, not its words.
    """
    words = values.map(lambda value: next((word for low, word in LEVELS if value >= low), ""))
    return words.mask((values == values.max()) & (values.count() > 1), "Best")


def rate_time(values: pd.Series) -> pd.Series:
    """Words for training times: the shortest of several is Best, the longest High."""
    words = values.map(lambda value: "" if pd.isna(value) else "Average")
    words = words.mask((values == values.max()) & (values.count() > 1), "High")
    return words.mask((values == values.min()) & (values.count() > 1), "Best")


def table_1(results: dict) -> pd.DataFrame:
    """Rate the numbers of the paper's Table 1 and ours by the words of one rule.

    Returns
    -------
    DataFrame
        Index criterion, model; columns paper, this study (empty if not run), differs. Our Best
        in accuracy says so when its model is not separable from the runner-up.
    """
    ours = {name: results["models"][name] for name in MODELS if name in results["models"]}
    words = {}
    for key, label in METRICS.items():
        measured = pd.Series({name: ours[name][key] for name in ours}, dtype=float)
        words[label] = rate(PAPER[label]), rate(measured.reindex(MODELS))
    seconds = pd.Series({name: ours[name]["training_seconds"] for name in ours}, dtype=float)
    words["training time"] = rate_time(PAPER["hours"]), rate_time(seconds.reindex(MODELS))
    columns = (pd.concat(column) for column in zip(*words.values(), strict=True))
    table = pd.DataFrame(dict(zip(("paper", "this study"), map(list, columns), strict=True)))
    table.index = pd.MultiIndex.from_product([words, MODELS], names=["criterion", "model"])
    table["differs"] = (table["this study"] != "") & (table["paper"] != table["this study"])
    unsure = table.index.isin(_unsure_best(results, list(ours)))
    table.loc[unsure, "this study"] += UNSURE
    return table


def _unsure_best(results: dict, names: list[str]) -> list[tuple]:
    """Rows of Table 1 whose Best in accuracy is not separable from the runner-up."""
    accuracy = {name: results["models"][name]["accuracy"] for name in names}
    first_two = sorted(names, key=accuracy.get, reverse=True)[:2]
    clear = any(
        pair["separable"] for pair in results["pairwise"] if {pair["a"], pair["b"]} == {*first_two}
    )
    best = [] if clear or len(names) < 2 else [accuracy[first_two[0]]]
    return [("accuracy", name) for name in names if accuracy[name] in best]


def f1_bound(precision, recall):
    """Highest macro F1 that macro precision and recall allow: 2PR/(P+R).

    Proof: h(p, r) = 2pr/(p+r) has the Hessian -4/(p+r)^3 v v' with v = (r, -p), so it is concave
    and the mean of h(p_k, r_k) is at most h at the mean (Jensen). Weights by support and means
    over folds change nothing. See Opitz, Burst (2019), Macro F1 and Macro F1, arXiv:1911.03347.
    """
    return 2 * precision * recall / (precision + recall)


def audit(table: pd.DataFrame = PAPER) -> pd.DataFrame:
    """Check a table of results against arithmetic, and the paper's text against its table.

    - Macro F1 is at most `f1_bound`.
    - Accuracy is a weighted mean of the genres' recalls (by true tracks), of their precisions (by
      predicted tracks) and of their F1 (by both), so it lies between the extremes of each.
    - Macro recall is the mean of the recalls.
    - A wrong answer is wrong for two genres against the rest, so those errors sum to
      2 (1 - accuracy).
    - The text calls the hybrid the lowest in precision, recall and F1.

    Returns
    -------
    DataFrame
        model, claim, value, lowest, highest (what is required of the value), slack (what rounding
        of the printed digits can explain), verdict (consistent or inconsistent).
    """
    rows = []
    for name, row in table.iterrows():
        genres = row[list(GENRES)]
        precision, recall, accuracy = row["precision"], row["recall"], row["accuracy"]
        bound = f1_bound(precision, recall)
        slack = ROUNDING + f1_bound(precision + ROUNDING, recall + ROUNDING) - bound
        errors, twice = (1 - genres).sum(), 2 * (1 - accuracy)
        rows += [
            (name, "macro F1 within 2PR/(P+R)", row["F1"], 0, bound, slack),
            (name, "genres as recalls, precisions or F1: accuracy lies between them",
             accuracy, genres.min(), genres.max(), 2 * ROUNDING),
            (name, "genres as recalls: macro recall is their mean",
             recall, genres.mean(), genres.mean(), 2 * ROUNDING),
            (name, "genres as one against the rest: errors sum to 2(1 - accuracy)",
             errors, twice, twice, (len(genres) + 2) * ROUNDING),
        ]  # fmt: skip
    for label in ("precision", "recall", "F1"):
        claim, column = f"text: the hybrid is lowest in {label}", table[label]
        others = column.drop("hybrid").min()
        rows.append(("hybrid", claim, column["hybrid"], 0, others, 2 * ROUNDING))
    columns = ["model", "claim", "value", "lowest", "highest", "slack"]
    checked = pd.DataFrame(rows, columns=columns)
    excess = (checked["lowest"] - checked["value"]).clip(checked["value"] - checked["highest"])
    fits = excess <= checked["slack"] + 1e-9
    return checked.assign(verdict=fits.map({True: "consistent", False: "inconsistent"}))
