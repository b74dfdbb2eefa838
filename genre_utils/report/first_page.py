"""What the first page of a study shows: the finding, how sure it is, and what it rests on."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from genre_utils import evaluation
from genre_utils.paper import published
from genre_utils.plots import formatting
from genre_utils.report.sentences import comparison, music
from genre_utils.report.sentences import first_page as sentences
from genre_utils.workspace import model_names
from genre_utils.workspace.study_folder import StudyFolder

MOST_BARS = 7  # models of a chart: the paper's, and the most accurate others
DEVELOPED = "train"  # part of GTZAN's published split on which this project settled its choices


def title(study: StudyFolder) -> str:
    """Name a study by its music."""
    return f"Music genre recognition on {music.called(study.corpus)}"


def content(study: StudyFolder, about: str, command: str) -> dict:
    """Give the values of the template of the first page, without results where there are none.

    Parameters
    ----------
    study : StudyFolder
        Its corpus, results and predictions are read.
    about, command : str
        What the study's profile says of itself, and the command that runs it.
    """
    results = study.results if study.has("results") else None
    page = {
        "about": about,
        "command": command,
        "protocol": music.protocol(_counts(study), study.corpus),
        "today": f"{datetime.now(UTC):%Y-%m-%d}",
        "results": results if results and results["models"] else None,
    }
    return page | _found(study, results) if page["results"] else page


def _counts(study):
    """Numbers of tracks, of artists known and unknown, and of groups that no split parts."""
    used = study.tracks[study.tracks["status"] == "used"]
    unknown = used["artist"].str.startswith("unknown:")
    known = used.loc[~unknown, "artist"].nunique()
    found = {"tracks": len(used), "artists": known, "unknown": int(unknown.sum())}
    return found | {"groups": study.folds["group"].nunique()}


def _found(study, results):
    models = dict(sorted(results["models"].items(), key=lambda one: -one[1]["accuracy"]))
    corpus = results["corpus"]
    same_task = {genre.lower() for genre in study.genres} == {*published.GENRES}
    claimed = published.PAPER["accuracy"].to_dict() if same_task else {}
    parts = untouched(study)
    return {
        "finding": comparison.best_model(results),
        "charts": _charts(models, parts),
        "untouched_count": int(parts["tracks"].iloc[0]) if len(parts) else 0,
        "touched": comparison.untouched(results, parts) if len(parts) else "",
        "rows": [_row(name, model, claimed) for name, model in models.items()],
        "claimed": claimed,
        "matrices": [_matrix(name, models[name], study.genres) for name in _two_best(models)],
        "leakage": comparison.leakage(results["leakage"]),
        "judged": bool(results.get("audit")) and results["audit"]["evidence"],
        "claims": comparison.counted(results["audit"]) if results.get("audit") else "",
        "limits": sentences.limitations(corpus, _counts(study), _reach(results), len(parts) > 0),
        "next_steps": sentences.next_steps(corpus),
        "chance": 1 / len(corpus["genres"]),
        "searched": any(map(model_names.is_tuned, models)),
    }


def untouched(study: StudyFolder) -> pd.DataFrame:
    """Accuracy on the tracks that took part in no choice of this project, where others did.

    Returns
    -------
    pd.DataFrame
        Rows of `evaluation.accuracy_by_split`. Empty where the music is not GTZAN by its published
        split.
    """
    table = evaluation.accuracy_by_split(study)
    known = music.called(study.corpus).startswith("GTZAN")
    if not known or DEVELOPED not in set(table.get("part", ())):
        return pd.DataFrame(columns=["model", "part", "tracks", "accuracy", "low", "high"])
    others = table[table["part"] != DEVELOPED]
    return others[others["part"] == others["part"].min()]


def _charts(models, parts):
    """Bars of all tracks, and of those that took part in no choice: the same models in both."""
    paper = [name for name in model_names.PAPER_MODELS if name in models]
    others = [name for name in models if name not in paper]
    chosen = {*paper, *others[: MOST_BARS - len(paper)]}
    shown = [name for name in models if name in chosen]
    every = [(name, models[name]["accuracy"], models[name]["ci95"]["accuracy"]) for name in shown]
    if not len(parts):
        return [every]
    rows = parts.set_index("model").loc[shown].iterrows()
    return [every, [(name, row["accuracy"], [row["low"], row["high"]]) for name, row in rows]]


def _row(name, model, claimed):
    words, hears = model_names.described(name)
    bounds, seconds = model["ci95"] or {}, model.get("training_cpu_seconds")
    took = "" if seconds is None else formatting.duration(seconds) if seconds >= 0.5 else "< 1 s"
    return {
        "name": name,
        "what": ": ".join(filter(None, (words, hears))),
        "accuracy": formatting.as_text(model["accuracy"], bounds.get("accuracy")),
        "paper": f"{claimed[name]:.2f}" if name in claimed else "",
        "f1": formatting.as_text(model["f1"], bounds.get("f1")),
        "cpu": took,
        "parameters": "" if model["parameters"] is None else f"{model['parameters']:,}",
    }


def _two_best(models):
    """The most accurate network, and the most accurate classical model."""
    networks = [name for name in models if model_names.untuned(name) in model_names.NETWORKS]
    classical = [name for name in models if model_names.untuned(name) in model_names.CLASSICAL]
    return networks[:1] + classical[:1]


def _matrix(name, model, genres):
    """Confusion matrix as rows of counts and shares, and the recall of each genre."""
    counts = np.array(model["confusion"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = map(zip, counts.tolist(), shares.tolist())
    found = [model["per_genre"][genre] for genre in genres]
    recalls = [formatting.as_text(one["recall"], one["ci95"]["recall"]) for one in found]
    rows = zip(genres, map(list, cells), recalls, strict=True)
    return {"name": name, "rows": list(rows)}


def _reach(results):
    """Half the width of the median interval of a difference between two models."""
    widths = [high - low for low, high in (pair["ci95"] for pair in results["pairwise"])]
    return float(np.median(widths)) / 2 if widths else None


def predictions(study: StudyFolder) -> str:
    """Write what every model predicted for whole tracks as CSV; nothing where there is none."""
    if not study.has("results") or not study.results["models"]:
        return ""
    tables = [
        evaluation.track_probabilities(study.predictions(name)).assign(model=name)
        for name in study.results["models"]
    ]
    table = pd.concat(tables, ignore_index=True)
    first = ["model", "track_id", "fold"]
    columns = first + [column for column in table if column not in first]
    return table[columns].to_csv(index=False, float_format="%.4f", lineterminator="\n")
