"""The paper's claims beside our numbers, and the arithmetic of the paper's own table.

Guo (2024), doi 10.62617/mcb.v21i1.373. Its numbers are reference lines, never a goal.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.evaluation import intervals, metrics, scoring
from genre_utils.paper import published
from genre_utils.plots import formatting
from genre_utils.workspace import evidence, files, model_names

TUNED = "_tuned"  # how the name of a model ends whose settings were searched
STORED = " (stored)"  # beside a model whose predictions are from an earlier run
NOT_RUN = "not run"


def stored_before(study: Path, names, chosen) -> dict[str, str]:
    """Say which models' predictions are from an earlier run than the study's present one.

    Parameters
    ----------
    study : Path
    names : iterable of str
        Models with predictions.
    chosen : collection of str
        MODELS of the present run: the families that it trains.

    Returns
    -------
    dict of str to str
        By model, why: it was not asked for now, or was trained on other features or folds, or by
        other code. Features are not compared in a report that is stored without them.
    """
    present = {"folds": files.sha256(_folds(study).to_csv(index=False))}
    if (study / "features.json").exists():
        present["features"] = files.read_json(study / "features.json")["sha256"]
    networks, classical = evidence.code("network"), evidence.code("classical")
    reasons = {}
    for name in names:
        run = files.read_json(study / "runs" / f"{name}.json")
        parts = run["hyperparameters"].get("members", [name])
        hashes = [files.read_json(study / "runs" / f"{part}.json")["hashes"] for part in parts]
        asked = {part.removesuffix(TUNED) for part in parts} <= {*chosen}
        why = [] if asked or name not in model_names.MODEL_ORDER else ["not among MODELS now"]
        for key, value in present.items():
            if any(one[key] != value for one in hashes):
                why.append(f"trained on other {key}")
        # the record of a network has a hash of the genres beside that of its code
        if any(one["code"] != (networks if "genres" in one else classical) for one in hashes):
            why.append("trained by other code")
        if why:
            reasons[name] = ", ".join(why)
    return reasons


def _folds(study):
    return pd.read_parquet(study / "folds.parquet")


def confusions(study: Path, names) -> dict[str, np.ndarray]:
    """Confusion matrix of every group of tracks, by model: (groups, genres, genres)."""
    genres = files.read_json(study / "corpus.json")["genres"]
    groups, found = scoring.groups_of(_folds(study)), {}
    for name in names:
        predictions = pd.read_parquet(study / "predictions" / f"{name}.parquet")
        tracks = scoring.track_probabilities(predictions)
        found[name] = metrics.group_confusions(tracks, groups, genres)
    return found


def weighted_intervals(study: Path, names) -> dict[str, dict]:
    """95 % intervals of precision, recall and F1 as means weighted by the tracks of each genre.

    Returns
    -------
    dict of dict of list
        By model and measure: low and high, by the method of `metrics.metric_intervals`.
    """
    limits = {}
    for name, counts in confusions(study, names).items():
        hits = np.diagonal(counts, axis1=1, axis2=2)
        true, guessed = counts.sum(axis=2), counts.sum(axis=1)
        share = true.sum(axis=0) / true.sum()
        ratios = {"precision": (hits, guessed), "recall": (hits, true)}
        ratios["f1"] = 2 * hits, true + guessed
        limits[name] = {
            measure: intervals.share_interval(intervals.combined_ratios(*both, share)).tolist()
            for measure, both in ratios.items()
        }
    return limits


def _variants(results, stored):
    """Label, numbers (None if not run) and claim of the paper's models, tuned ones below each."""
    for name in published.MODELS:
        for variant in (name, name + TUNED):
            if variant in results["models"] or variant == name:
                label = variant + (STORED if variant in stored else "")
                yield label, results["models"].get(variant), published.PAPER.loc[name]


def _by_label(rows):
    return pd.DataFrame(rows).T.rename_axis("model")


def side_by_side(results: dict, measure: str, weighted: dict, stored=()) -> pd.DataFrame:
    """One measure of the paper's models: ours with 95 % intervals, and the paper's.

    Parameters
    ----------
    results : dict
        Content of results.json.
    measure : {"accuracy", "precision", "recall", "f1"}
    weighted : dict
        From `weighted_intervals`.
    stored : collection of str
        Models to mark as stored from before.

    Returns
    -------
    DataFrame of str
        Index model, a tuned one below its family. Columns this study (precision, recall and F1 as
        mean over genres), weighted (mean weighted by tracks; not for accuracy), paper.
    """
    rows = {}
    for label, model, claim in _variants(results, stored):
        ours = {"this study": NOT_RUN} if model is None else {}
        if model:
            ours["this study"] = formatting.as_text(model[measure], model["ci95"][measure])
        if measure != "accuracy":
            name = label.removesuffix(STORED)
            ours["weighted"] = (
                formatting.as_text(model["weighted"][measure], weighted[name][measure])
                if model
                else ""
            )
        rows[label] = ours | {"paper": formatting.as_text(claim[published.METRICS[measure]])}
    return _by_label(rows)


def genre_side_by_side(results: dict, genre: str, stored=()) -> pd.DataFrame:
    """Recall, and accuracy against the rest, of one genre by the paper's models, and its number.

    Returns
    -------
    DataFrame of str
        Index model. Columns recall, against the rest, and paper where it has that genre: it does
        not say which of the two, if either, its number is.
    """
    rows = {}
    for label, model, claim in _variants(results, stored):
        numbers = model["per_genre"][genre] if model else None
        row = {"recall": NOT_RUN, "against the rest": ""}
        if numbers:
            row = {
                "recall": formatting.as_text(numbers["recall"], numbers["ci95"]["recall"]),
                "against the rest": formatting.as_text(
                    numbers["accuracy"], numbers["ci95"]["accuracy"]
                ),
            }
        theirs = (
            {"paper": formatting.as_text(claim[genre.lower()])}
            if genre.lower() in published.GENRES
            else {}
        )
        rows[label] = row | theirs
    return _by_label(rows)


def settings_side_by_side(results: dict, stored=()) -> pd.DataFrame:
    """Settings and training time of the paper's models, ours and the paper's below each other.

    Training is minutes of all folds together for ours, and for the paper hours on hardware that it
    does not name: nothing follows from the two.
    """
    rows = {}
    for label, model, claim in _variants(results, stored):
        if model:
            values = model["hyperparameters"]
            seconds = model["training_seconds"]
            rows[label] = {text: f"{values[key]:.2g}" if key == "learning_rate" else values[key]
                           for key, text in published.SETTINGS.items()} | {
                "training": "" if seconds is None else formatting.duration(seconds)}  # fmt: skip
        if not label.removesuffix(STORED).endswith(TUNED):
            theirs = {text: claim[text] for text in published.SETTINGS.values()}
            theirs["learning rate"] = f"{theirs['learning rate']:.2g}"
            theirs |= {text: f"{theirs[text]:.0f}" for text in ("batch size", "hidden layers")}
            rows[f"{label.removesuffix(STORED)}, paper"] = theirs | {
                "training": f"{claim['hours']} h"
            }
    return _by_label(rows)


def further_models(results: dict, weighted: dict, stored=()) -> pd.DataFrame:
    """Accuracy and F1 of the models that the paper does not have, best first.

    Returns
    -------
    DataFrame of str
        Index model; columns accuracy, F1 (mean over genres), weighted F1, each with its 95 %
        interval. Empty if there are none.
    """
    ours = {
        n: m for n, m in results["models"].items() if n.removesuffix(TUNED) not in published.MODELS
    }
    rows = {
        name + (STORED if name in stored else ""): {
            "accuracy": formatting.as_text(ours[name]["accuracy"], ours[name]["ci95"]["accuracy"]),
            "F1": formatting.as_text(ours[name]["f1"], ours[name]["ci95"]["f1"]),
            "weighted F1": formatting.as_text(ours[name]["weighted"]["f1"], weighted[name]["f1"]),
        }
        for name in sorted(ours, key=lambda name: -ours[name]["accuracy"])
    }
    return _by_label(rows)


def rate(values: pd.Series) -> pd.Series:
    """Words for shares: the highest of several is Best, the others go by LEVELS.

    The rule is ours: of the paper's Table 1 only the vocabulary is taken, not its words.
    """
    words = values.map(
        lambda value: next((word for low, word in published.LEVELS if value >= low), "")
    )
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
        Index criterion, model; columns paper, this study (empty if not run), tuned (if any was
        searched), differs (the first two). Our Best in accuracy says so when its model is not
        separable from the runner-up.
    """
    columns = {"paper": _words(published.PAPER, published.METRICS.values(), "hours")}
    for source, end in (("this study", ""), ("tuned", TUNED)):
        ours = {
            n: results["models"][n + end] for n in published.MODELS if n + end in results["models"]
        }
        if source == "this study" or ours:
            numbers = pd.DataFrame(ours, index=[*published.METRICS, "training_seconds"]).T
            measured = numbers.reindex(published.MODELS).astype(float)
            columns[source] = _words(measured, published.METRICS, "training_seconds")
            names = [name + end for name in ours]
            best = [("accuracy", n.removesuffix(TUNED)) for n in _unsure_best(results, names)]
            columns[source] = columns[source].mask(
                columns[source].index.isin(best), columns[source] + published.UNSURE
            )
    table = pd.DataFrame(columns)
    ours = table["this study"].str.removesuffix(published.UNSURE)
    return table.assign(differs=(ours != "") & (table["paper"] != ours))


def _words(numbers, measures, seconds):
    """Words of `rate` and `rate_time` for the columns of a table: by criterion and model."""
    rated = {
        label: rate(numbers[name])
        for label, name in zip(published.METRICS.values(), measures, strict=True)
    }
    words = pd.concat(rated | {"training time": rate_time(numbers[seconds])})
    return words.rename_axis(["criterion", "model"])


def _unsure_best(results: dict, names: list[str]) -> list[str]:
    """Models of the highest accuracy, if it is not separable from the runner-up."""
    accuracy = {name: results["models"][name]["accuracy"] for name in names}
    first_two = sorted(names, key=accuracy.get, reverse=True)[:2]
    clear = any(
        pair["separable"] for pair in results["pairwise"] if {pair["a"], pair["b"]} == {*first_two}
    )
    best = [] if clear or len(names) < 2 else [accuracy[first_two[0]]]
    return [name for name in names if accuracy[name] in best]


def f1_bound(precision, recall):
    """Highest macro F1 that macro precision and recall allow: 2PR/(P+R).

    Proof: h(p, r) = 2pr/(p+r) has the Hessian -4/(p+r)^3 v v' with v = (r, -p), so it is concave
    and the mean of h(p_k, r_k) is at most h at the mean (Jensen). Weights by support and means
    over folds change nothing. See Opitz, Burst (2019), Macro F1 and Macro F1, arXiv:1911.03347.
    """
    return 2 * precision * recall / (precision + recall)


def audit(table: pd.DataFrame = published.PAPER) -> pd.DataFrame:
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
        genres = row[list(published.GENRES)]
        precision, recall, accuracy = row["precision"], row["recall"], row["accuracy"]
        bound = f1_bound(precision, recall)
        slack = (
            published.ROUNDING
            + f1_bound(precision + published.ROUNDING, recall + published.ROUNDING)
            - bound
        )
        errors, twice = (1 - genres).sum(), 2 * (1 - accuracy)
        rows += [
            (name, "macro F1 within 2PR/(P+R)", row["F1"], 0, bound, slack),
            (name, "genres as recalls, precisions or F1: accuracy lies between them",
             accuracy, genres.min(), genres.max(), 2 * published.ROUNDING),
            (name, "genres as recalls: macro recall is their mean",
             recall, genres.mean(), genres.mean(), 2 * published.ROUNDING),
            (name, "genres as one against the rest: errors sum to 2(1 - accuracy)",
             errors, twice, twice, (len(genres) + 2) * published.ROUNDING),
        ]  # fmt: skip
    for label in ("precision", "recall", "F1"):
        claim, column = f"text: the hybrid is lowest in {label}", table[label]
        others = column.drop("hybrid").min()
        rows.append(("hybrid", claim, column["hybrid"], 0, others, 2 * published.ROUNDING))
    columns = ["model", "claim", "value", "lowest", "highest", "slack"]
    checked = pd.DataFrame(rows, columns=columns)
    excess = (checked["lowest"] - checked["value"]).clip(checked["value"] - checked["highest"])
    fits = excess <= checked["slack"] + 1e-9
    return checked.assign(verdict=fits.map({True: "consistent", False: "inconsistent"}))
