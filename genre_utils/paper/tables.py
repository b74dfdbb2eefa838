"""Tables of the paper's numbers beside ours."""

import pandas as pd

from genre_utils.evaluation import intervals, metrics, scoring
from genre_utils.paper.published import GENRES, METRICS, PAPER, SETTINGS
from genre_utils.plots import formatting
from genre_utils.workspace import evidence, files, model_names
from genre_utils.workspace.study_folder import StudyFolder

_STORED = " (stored)"  # beside a model whose predictions are from an earlier run
_UNCLEAR = " (not significantly different)"
_LEVELS = ((0.85, "Excellent"), (0.75, "Good"), (0.60, "Average"), (0.0, "Poor"))


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
    reasons = {}
    for name in names:
        parts = study.run(name)["hyperparameters"].get("members", [name])
        hashes = [study.run(part)["hashes"] for part in parts]
        asked = all({part, model_names.family(part)} & {*chosen} for part in parts)
        why = [] if asked or name not in model_names.MODEL_ORDER else ["not among MODELS now"]
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


def table_2(study: StudyFolder, results: dict, stored=()) -> dict[str, dict[str, pd.DataFrame]]:
    """Set the numbers of the paper's Table 2 beside ours, other settings of a model below it.

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
    dict of dict of pd.DataFrame of str
        Under measures, by name: this study (mean over genres), weighted (by tracks; not for
        accuracy), paper. Under genres, by name: recall, against the rest, and paper where it has
        that genre (it does not say which of the two its number is). Under settings, by "": settings
        and training, of all folds for ours. Ours have 95 % intervals.
    """
    measures: dict = {label: {} for label in METRICS.values()}
    genres: dict = {genre: {} for genre in results["corpus"]["genres"]}
    settings = {}
    kinds = str, model_names.as_in_paper, model_names.tuned
    for name in (called(one) for one in model_names.PAPER_MODELS for called in kinds):
        model, family = results["models"].get(name), model_names.family(name)
        if model is None and name != family:
            continue
        label, claim = name + (_STORED if name in stored else ""), PAPER.loc[family]
        weighted = _weighted(study, name, model["weighted"]) if model else {}
        for key, measure in METRICS.items():
            row = {"this study": _with_interval(model, key) if model else "not run"}
            row |= {} if key == "accuracy" else {"weighted": weighted.get(key, "")}
            measures[measure][label] = row | {"paper": formatting.as_text(claim[measure])}
        for genre, rows in genres.items():
            rows[label] = _genre_row(model and model["per_genre"][genre], claim, genre.lower())
        if model:
            seconds = model["training_seconds"]
            training = "" if seconds is None else formatting.duration(seconds)
            settings[label] = _settings_row(model["hyperparameters"], training)
        if name == family:
            values = {key: claim[text] for key, text in SETTINGS.items()}
            settings[f"{name}, paper"] = _settings_row(values, f"{claim['hours']} h")
    found = {"measures": measures, "genres": genres, "settings": {"": settings}}
    return {
        kind: {name: pd.DataFrame(rows).T.rename_axis("model") for name, rows in tables.items()}
        for kind, tables in found.items()
    }


def _with_interval(numbers, name):
    return formatting.as_text(numbers[name], numbers["ci95"][name])


def _genre_row(numbers, claim, genre):
    row = {"recall": "not run", "against the rest": ""}
    if numbers:
        row["recall"] = _with_interval(numbers, "recall")
        row["against the rest"] = _with_interval(numbers, "accuracy")
    return row | ({"paper": formatting.as_text(claim[genre])} if genre in GENRES else {})


def _settings_row(values, training):
    row = {text: values[key] for key, text in SETTINGS.items()}
    texts = {text: f"{value:.2g}" if value < 1 else f"{value:.0f}" for text, value in row.items()}
    return texts | {"training": training}


def _weighted(study, name, means):
    """Means of precision, recall and F1 weighted by the tracks of each genre, with intervals."""
    counts, texts = scoring.confusions(study, name), {}
    share, ratios = counts.sum(axis=(0, 2)) / counts.sum(), metrics.metric_ratios(counts)
    for key, mean in means.items():
        estimate = intervals.combined_ratios(*ratios[key][:2], share)
        texts[key] = formatting.as_text(mean, intervals.share_interval(estimate).tolist())
    return texts


def table_1(results: dict) -> pd.DataFrame:
    """Rate the paper's numbers and ours by one rule of ours, in the vocabulary of its Table 1.

    Parameters
    ----------
    results : dict
        Content of results.json.

    Returns
    -------
    pd.DataFrame
        Index criterion, model; columns paper, this study (empty if not run), paper's setting and
        tuned (if any was), differs (the first two).
        Our Best in accuracy says where the runner-up is as good.
    """
    columns = {"paper": _words(PAPER, METRICS.values(), "hours")}
    sources = {"this study": str, "paper's setting": model_names.as_in_paper}
    sources["tuned"] = model_names.tuned
    for source, called in sources.items():
        there = {name: called(name) for name in model_names.PAPER_MODELS}
        ours = {n: results["models"][c] for n, c in there.items() if c in results["models"]}
        if source == "this study" or ours:
            numbers = pd.DataFrame(ours, index=[*METRICS, "training_seconds"]).T.astype(float)
            words = _words(numbers.reindex([*there]), METRICS, "training_seconds")
            best = [("accuracy", name) for name in _unclear_best(results, list(ours), called)]
            columns[source] = words.mask(words.index.isin(best), words + _UNCLEAR)
    table = pd.DataFrame(columns)
    ours = table["this study"].str.removesuffix(_UNCLEAR)
    return table.assign(differs=(ours != "") & (table["paper"] != ours))


def _words(numbers, measures, seconds):
    """Words for the columns of a table: by criterion and model."""
    pairs = zip(METRICS.values(), measures, strict=True)
    rated = {label: _rate(numbers[name]) for label, name in pairs}
    words = pd.concat(rated | {"training time": _rate_time(numbers[seconds])})
    return words.rename_axis(["criterion", "model"])


def _rate(values):
    """Words for shares: the highest of several is Best, the others go by `_LEVELS`."""
    words = values.map(lambda value: next((word for low, word in _LEVELS if value >= low), ""))
    return words.mask((values == values.max()) & (values.count() > 1), "Best")


def _rate_time(values):
    """Words for training times: the shortest of several is Best, the longest High."""
    words = values.map(lambda value: "" if pd.isna(value) else "Average")
    words = words.mask((values == values.max()) & (values.count() > 1), "High")
    return words.mask((values == values.min()) & (values.count() > 1), "Best")


def _unclear_best(results, names, called):
    """Models of the highest accuracy, if it is not significantly different from the runner-up."""
    accuracy = {name: results["models"][called(name)]["accuracy"] for name in names}
    first_two = sorted(names, key=accuracy.get, reverse=True)[:2]
    asked = {called(name) for name in first_two}
    pairs = (pair for pair in results["pairwise"] if {pair["a"], pair["b"]} == asked)
    if len(names) < 2 or any(pair["separable"] for pair in pairs):
        return []
    return [name for name in names if accuracy[name] == accuracy[first_two[0]]]
