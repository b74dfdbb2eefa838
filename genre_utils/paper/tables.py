"""Tables of the paper's numbers beside ours."""

import pandas as pd

from genre_utils.evaluation import intervals, metrics, scoring
from genre_utils.paper.published import GENRES, METRICS, PAPER, SETTINGS, WORDS
from genre_utils.plots import formatting
from genre_utils.workspace import evidence, files, model_names
from genre_utils.workspace.study_folder import StudyFolder

_STORED = " (stored)"  # beside a model whose predictions are from an earlier run
_UNCLEAR = "*"  # beside a best that is not significantly different from the runner-up
_LEVELS = ((0.85, "Excellent"), (0.75, "Good"), (0.60, "Average"), (0.0, "Poor"))
_PAPER = "paper"
#: Which of our models stand for one of the paper's.
_SETTINGS = {
    "best": str,
    "paper's setting": model_names.as_in_paper,
    "tuned": model_names.tuned,
}


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


def _ours(results):
    """Model of the paper, which setting of it, and its scores here, of all that there are."""
    for name in model_names.PAPER_MODELS:
        for setting, called in _SETTINGS.items():
            if called(name) in results["models"]:
                yield name, setting, results["models"][called(name)]


def table_2(results: dict, stored=()) -> pd.DataFrame:
    """Set the numbers of the paper's Table 2 beside ours, which have 95 % intervals.

    Parameters
    ----------
    results : dict
        Content of results.json.
    stored : collection of str
        Models to mark as stored from before.

    Returns
    -------
    pd.DataFrame of str
        Columns model, numbers (paper, or which setting of ours), accuracy, precision,
        recall, F1.
    """
    rows = []
    for name, claim in PAPER.iterrows():
        theirs = {label: formatting.as_text(claim[label]) for label in METRICS.values()}
        rows.append({"model": name, "numbers": _PAPER} | theirs)
        for setting, model in ((s, m) for one, s, m in _ours(results) if one == name):
            mark = _STORED if _SETTINGS[setting](name) in stored else ""
            ours = {label: _with_interval(model, key) for key, label in METRICS.items()}
            rows.append({"model": name, "numbers": setting + mark} | ours)
    return pd.DataFrame(rows)


def weighted_means(study: StudyFolder, results: dict) -> pd.DataFrame:
    """Precision and F1 of the paper's models as means weighted by tracks; 95 % intervals.

    Recall weighted in this way is the accuracy.

    Parameters
    ----------
    study : StudyFolder
        Its predictions are read.
    results : dict
        Content of results.json.

    Returns
    -------
    pd.DataFrame of str
        Columns model, setting, precision, F1.
    """
    rows = []
    for name, setting, model in _ours(results):
        means = _weighted(study, _SETTINGS[setting](name), model["weighted"])
        rows.append({"model": name, "setting": setting} | means)
    return pd.DataFrame(rows)


def genre_readings(results: dict) -> pd.DataFrame:
    """Set both readings of a number per genre beside the paper's, which does not say which it is.

    Parameters
    ----------
    results : dict
        Content of results.json.

    Returns
    -------
    pd.DataFrame of str
        Columns genre, model, setting, recall, against the rest, and paper where it has the genre.
    """
    rows = []
    for genre in results["corpus"]["genres"]:
        for name, setting, model in _ours(results):
            numbers = model["per_genre"][genre]
            row = {"genre": genre, "model": name, "setting": setting}
            row |= {"recall": _with_interval(numbers, "recall")}
            row |= {"against the rest": _with_interval(numbers, "accuracy")}
            if genre.lower() in GENRES:
                row["paper"] = formatting.as_text(PAPER.loc[name, genre.lower()])
            rows.append(row)
    return pd.DataFrame(rows).fillna("")


def training_settings(results: dict) -> pd.DataFrame:
    """Settings and training time of the paper's models; ours is the CPU time of all folds.

    Parameters
    ----------
    results : dict
        Content of results.json.

    Returns
    -------
    pd.DataFrame of str
        Columns model, setting, learning rate, batch size, hidden layers, training.
    """
    rows = []
    for name, claim in PAPER.iterrows():
        values = {key: claim[text] for key, text in SETTINGS.items()}
        rows.append(_settings_row(name, _PAPER, values, f"{claim['hours']} h"))
        for setting, model in ((s, m) for one, s, m in _ours(results) if one == name):
            seconds = model["training_cpu_seconds"]
            training = "" if seconds is None else f"{formatting.duration(seconds)} of CPU time"
            rows.append(_settings_row(name, setting, model["hyperparameters"], training))
    return pd.DataFrame(rows)


def _with_interval(numbers, name):
    return formatting.as_text(numbers[name], numbers["ci95"][name])


def _settings_row(name, setting, values, training):
    row = {text: values[key] for key, text in SETTINGS.items()}
    texts = {text: f"{value:.2g}" if value < 1 else f"{value:.0f}" for text, value in row.items()}
    return {"model": name, "setting": setting} | texts | {"training": training}


def _weighted(study, name, means):
    """Means of precision and F1 weighted by the tracks of each genre, with intervals."""
    counts, texts = scoring.confusions(study, name), {}
    share, ratios = counts.sum(axis=(0, 2)) / counts.sum(), metrics.metric_ratios(counts)
    for key in ("precision", "f1"):
        limits = intervals.share_interval(intervals.combined_ratios(*ratios[key][:2], share))
        texts[METRICS[key]] = formatting.as_text(means[key], limits.tolist())
    return texts


def table_1(results: dict) -> pd.DataFrame:
    """Set the words of the paper's Table 1 beside those that one rule of ours gives.

    The highest of the three models is Best; the others go by `_LEVELS`. A star marks a Best in
    accuracy that is not significantly different from the runner-up.

    Parameters
    ----------
    results : dict
        Content of results.json.

    Returns
    -------
    pd.DataFrame of str
        Columns model, words (whose), and one for each of the paper's measures and genres.
    """
    sources = {"the paper's own": WORDS, "by rule, the paper's numbers": _rated(PAPER)}
    for setting, called in _SETTINGS.items():
        ours = {n: m for n, s, m in _ours(results) if s == setting}
        if ours and setting != "tuned":
            words = _rated(pd.DataFrame({n: _numbers(model) for n, model in ours.items()}).T)
            best = _unclear_best(results, list(ours), called)
            words.loc[best, "accuracy"] += _UNCLEAR
            sources[f"by rule, ours, {setting}"] = words
    table = pd.concat(sources, names=["words", "model"]).reindex(columns=WORDS.columns)
    order = {name: place for place, name in enumerate(PAPER.index)}
    table = table.reset_index().sort_values("model", key=lambda m: m.map(order), kind="stable")
    return table[["model", "words", *WORDS.columns]].fillna("")


def _numbers(model):
    """Numbers of a model under the names of the paper's columns."""
    genres = {genre.lower(): one["recall"] for genre, one in model["per_genre"].items()}
    return {label: model[key] for key, label in METRICS.items()} | genres


def _rated(numbers):
    """Words for the columns of `WORDS`, as far as they are among the numbers."""
    return numbers[[label for label in WORDS if label in numbers]].astype(float).apply(_rate)


def _rate(values):
    """Words for shares: the highest of several is Best, the others go by `_LEVELS`."""
    words = values.map(lambda value: next(word for low, word in _LEVELS if value >= low))
    return words.mask((values == values.max()) & (len(values) > 1), "Best")


def arithmetic(checked: pd.DataFrame) -> pd.DataFrame:
    """Show what `check_arithmetic` found.

    Parameters
    ----------
    checked : pd.DataFrame
        From there.

    Returns
    -------
    pd.DataFrame of str
        Columns model, statement, value, allowed, rounding, verdict.
    """
    limits = checked[["lowest", "highest"]].itertuples(index=False)
    shown = {"model": checked["model"], "statement": checked["claim"]}
    shown |= {"value": checked["value"].map("{:.2f}".format)}
    shown |= {"allowed": [_allowed(*pair) for pair in limits]}
    shown |= {"rounding": checked["slack"].map("±{:.2f}".format), "verdict": checked["verdict"]}
    return pd.DataFrame(shown)


def _allowed(lowest, highest):
    if lowest == highest:
        return f"{lowest:.2f}"
    return f"{lowest:.2f} to {highest:.2f}" if lowest else f"at most {highest:.2f}"


def _unclear_best(results, names, called):
    """Models of the highest accuracy, if it is not significantly different from the runner-up."""
    accuracy = {name: results["models"][called(name)]["accuracy"] for name in names}
    first_two = sorted(names, key=accuracy.get, reverse=True)[:2]
    asked = {called(name) for name in first_two}
    pairs = (pair for pair in results["pairwise"] if {pair["a"], pair["b"]} == asked)
    if len(names) < 2 or any(pair["separable"] for pair in pairs):
        return []
    return [name for name in names if accuracy[name] == accuracy[first_two[0]]]
