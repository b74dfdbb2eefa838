"""Tables of the paper's numbers beside ours."""

import itertools

import pandas as pd

from genre_utils.evaluation import intervals, metrics, scoring
from genre_utils.paper.published import GENRES, METRICS, PAPER, SETTINGS, WORDS
from genre_utils.plots import formatting
from genre_utils.workspace import evidence, files, model_names
from genre_utils.workspace.study_folder import StudyFolder

_STORED = " (stored)"  # beside a model whose predictions are from an earlier run
_UNCLEAR = "*"  # beside a best that is not significantly different from the runner-up
_LEVELS = ((0.85, "Excellent"), (0.75, "Good"), (0.60, "Average"), (0.0, "Poor"))
#: Which of our models stand for one of the paper's.
_OURS = {"best": str, "paper's setting": model_names.as_in_paper, "tuned": model_names.tuned}


def stored_before(study: StudyFolder, names, chosen) -> dict[str, str]:
    """Tell which predictions are from an earlier run than the study's present one, and why.

    Parameters
    ----------
    study : StudyFolder
        What there is.
    names, chosen : collection of str
        Models with predictions, and MODELS of the present run: the families that it trains.

    Returns
    -------
    dict of str to str
        By model, why: not asked for now, or trained on other features (where they are stored) or
        folds, or by other code.
    """
    present = {"folds": files.sha256(study.folds.to_csv(index=False))}
    if study.has("features"):
        present["features"] = study.features["sha256"]
    networks, classical = evidence.code("network"), evidence.code("classical")
    code = dict.fromkeys(model_names.PRETRAINED, evidence.code("pretrained"))
    code |= dict.fromkeys(model_names.TEXT, evidence.code("text"))
    reasons = {}
    for name in names:
        parts = study.run(name)["hyperparameters"].get("members", [name])
        hashes = [study.run(part)["hashes"] for part in parts]
        asked = all({part, model_names.family(part)} & {*chosen} for part in parts)
        why = [] if asked or name not in model_names.ALL else ["not among MODELS now"]
        others = [key for key in present if any(one[key] != present[key] for one in hashes)]
        why += [f"trained on other {key}" for key in others]
        # the record of a network has a hash of the genres beside that of its code
        usual = (networks if "genres" in one else classical for one in hashes)
        if any(
            one["code"] != code.get(name, kind) for one, kind in zip(hashes, usual, strict=True)
        ):
            why.append("trained by other code")
        if why:
            reasons[name] = ", ".join(why)
    return reasons


def table_2(study: StudyFolder, results: dict, stored=()) -> dict[str, pd.DataFrame]:
    """Set the numbers of the paper's Table 2 beside ours, in every setting of a model.

    Parameters
    ----------
    study : StudyFolder
        Its predictions are read.
    results : dict
        Content of results.json.
    stored : collection of str
        Models to mark as stored from before.

    Returns
    -------
    dict of pd.DataFrame of str
        By kind: measures (means over the genres), weighted (by tracks; recall is then the
        accuracy), genres (recall, accuracy against the rest, and the paper's number, which may be
        either) and settings (and training, ours in CPU time of all folds). Ours have 95 %
        intervals.
    """
    measures, weighted, genres, settings = [], [], [], []
    for name, claim in PAPER.iterrows():
        row = {"model": name, "numbers": "paper"}
        theirs = {label: formatting.as_text(claim[label]) for label in METRICS.values()}
        measures.append(row | theirs)
        values = {key: claim[text] for key, text in SETTINGS.items()}
        settings.append(row | _settings(values, f"{claim['hours']} h"))
        for setting, called in _OURS.items():
            if not (model := results["models"].get(called(name))):
                continue
            row["numbers"] = setting + (_STORED if called(name) in stored else "")
            ours = {label: _with_interval(model, key) for key, label in METRICS.items()}
            measures.append(row | ours)
            weighted.append(row | _weighted(study, called(name), model["weighted"]))
            genres += [row | _genre(*pair, claim) for pair in model["per_genre"].items()]
            seconds = model["training_cpu_seconds"]
            training = "" if seconds is None else f"{formatting.duration(seconds)} of CPU time"
            settings.append(row | _settings(model["hyperparameters"], training))
    found = {"measures": measures, "weighted": weighted, "genres": genres, "settings": settings}
    return {kind: pd.DataFrame(rows).fillna("") for kind, rows in found.items()}


def _with_interval(numbers, name):
    return formatting.as_text(numbers[name], numbers["ci95"][name])


def _genre(genre, numbers, claim):
    """Both readings of a number per genre, and the paper's, if it has that genre."""
    row = {"genre": genre, "recall": _with_interval(numbers, "recall")}
    row["against the rest"] = _with_interval(numbers, "accuracy")
    known = genre.lower() in GENRES
    return row | ({"paper": formatting.as_text(claim[genre.lower()])} if known else {})


def _settings(values, training):
    row = {text: values[key] for key, text in SETTINGS.items()}
    texts = {text: f"{value:.2g}" if value < 1 else f"{value:.0f}" for text, value in row.items()}
    return texts | {"training": training}


def _weighted(study, name, means):
    """Means of precision and F1 weighted by the tracks of each genre, with intervals."""
    counts, texts = scoring.confusions(study, name), {}
    share, ratios = counts.sum(axis=(0, 2)) / counts.sum(), metrics.metric_ratios(counts)
    for key in ("precision", "f1"):
        limits = intervals.share_interval(intervals.combined_ratios(*ratios[key][:2], share))
        texts[METRICS[key]] = formatting.as_text(means[key], limits.tolist())
    return texts


def table_1(results: dict) -> pd.DataFrame:
    """Set the words of the paper's Table 1 beside those that one rule gives its numbers and ours.

    Parameters
    ----------
    results : dict
        Content of results.json.

    Returns
    -------
    pd.DataFrame of str
        Columns criterion (measure or genre), model, paper, and by the rule: paper's numbers, best
        and paper's setting (ours). A star marks a Best in accuracy that is not significantly
        different from the runner-up.
    """
    columns = {"paper": WORDS, "rule: paper's numbers": _rated(PAPER)}
    for setting, called in list(_OURS.items())[:2]:
        there = {n: results["models"].get(called(n)) for n in PAPER.index}
        if ours := {name: _numbers(model) for name, model in there.items() if model}:
            words = _rated(pd.DataFrame(ours).T)
            words.loc[_unclear_best(results, list(ours), called), "accuracy"] += _UNCLEAR
            columns[f"rule: {setting}"] = words
    rows = [{"criterion": label, "model": name} for label in WORDS for name in WORDS.index]
    for row, (source, words) in itertools.product(rows, columns.items()):
        row[source] = words.get(row["criterion"], {}).get(row["model"], "")
    return pd.DataFrame(rows)


def _numbers(model):
    """Numbers of a model under the names of the paper's columns."""
    genres = {genre.lower(): one["recall"] for genre, one in model["per_genre"].items()}
    return {label: model[key] for key, label in METRICS.items()} | genres


def _rated(numbers):
    """Words for those columns that the paper's Table 1 has."""
    return numbers[numbers.columns.intersection(WORDS.columns, sort=False)].apply(_rate)


def _rate(values):
    """Words for shares: the highest of several is Best, the others go by `_LEVELS`."""
    words = values.map(lambda value: next(word for low, word in _LEVELS if value >= low))
    return words.mask((values == values.max()) & (len(values) > 1), "Best")


def _unclear_best(results, names, called):
    """Models of the highest accuracy, if it is not significantly different from the runner-up."""
    accuracy = {name: results["models"][called(name)]["accuracy"] for name in names}
    first_two = sorted(names, key=accuracy.get, reverse=True)[:2]
    asked = {called(name) for name in first_two}
    pairs = (pair for pair in results["pairwise"] if {pair["a"], pair["b"]} == asked)
    if len(names) < 2 or any(pair["separable"] for pair in pairs):
        return []
    return [name for name in names if accuracy[name] == accuracy[first_two[0]]]
