"""Model cards: what a trained model is, where it fails and what it is for, beside the model itself.

A card is written from results.json and the model's sidecar alone, so that it cannot disagree with
the report (Mitchell et al. 2019, Model cards for model reporting, FAT*).
"""

from pathlib import Path

import numpy as np

from genre_utils.plots import formatting
from genre_utils.recognition import exported_model, recogniser
from genre_utils.workspace import files

CONFUSIONS = 5  # that a card tells
WEAK = 0.5  # recall below which a genre is called one that the model mostly misses
CORPUS = ("name", "synthetic", "tracks", "artists", "genres", "sha256", "group_by", "folds")
MODEL = ("accuracy", "precision", "recall", "f1", "ci95", "per_genre", "excerpt_accuracy")
MODEL += ("known_artists", "confusion", "scored_tracks", "scored_groups", "hyperparameters")

#: What may be done with the music that a corpus holds, by the name of the corpus.
MUSIC = {
    "synthetic": "Its music was composed by the rules of this package, which is MIT-licensed.",
    "gtzan": "GTZAN's recordings were never cleared for redistribution; none is in the model.",
    "fma": "Each FMA recording has the Creative Commons licence that its artist chose; none is in "
    "the model.",
    "folder": "Its music is that of whoever ran the study; their rights to it decide what may be "
    "done with the model.",
    "store": "Its spectrograms are those of whoever ran the study; the rights to the music decide "
    "what may be done with the model.",
}
MUSIC |= dict.fromkeys(("gtzan-mini", "gtzan_mel"), MUSIC["gtzan"])


class CardError(ValueError):
    """A card cannot be written; the message says why and what to do."""


def facts(results: dict, name: str) -> dict:
    """Part of results.json that the card of a model needs."""
    corpus, model = results["corpus"], results["models"][name]
    return {
        "profile": results["profile"],
        "protocol": results["protocol"],
        "corpus": {key: corpus[key] for key in CORPUS},
        "models": {name: {key: model[key] for key in MODEL}},
    }


def write_all(study: Path) -> list[Path]:
    """Write the card of each model in a study's ``models/``, ``NAME.md``.

    Parameters
    ----------
    study : Path
        Holds results.json (from notebook 06) and sidecars: ``NAME.npz.json`` where the model was
        exported, else ``NAME.json``.

    Returns
    -------
    list of Path

    Raises
    ------
    CardError
        See `card`.
    """
    results, paths = files.read_json(study / "results.json"), []
    for name in results["models"]:
        beside = [study / "models" / f"{name}{end}" for end in (".npz.json", ".json")]
        found = next((path for path in beside if path.exists()), None)
        if found:
            paths.append(study / "models" / f"{name}.md")
            with files.atomic_write(paths[-1]) as temporary:
                text = card(facts(results, name), files.read_json(found))
                temporary.write_text(text, encoding="utf-8")
    return paths


def card(results: dict, about: dict) -> str:
    """Card of a model, in Markdown.

    Parameters
    ----------
    results : dict
        Of results.json, at least what `facts` takes of it.
    about : dict
        The model's sidecar (see `exporting.export_model` and `cross_validation.fit_final`).

    Raises
    ------
    CardError
        If the two are not of the same corpus, or not of the same accuracy.
    """
    corpus, model = results["corpus"], results["models"][about["model"]]
    stated = about["accuracy"]
    value = stated["value"] if isinstance(stated, dict) else stated
    if about["corpus"]["sha256"] != corpus["sha256"] or abs(value - model["accuracy"]) > 1e-9:
        raise CardError(
            f"{about['model']}: its sidecar and results.json are not of the same run (accuracy "
            f"{value:.4f} and {model['accuracy']:.4f}). Run notebooks 06 and 08 again."
        )
    parts = [
        f"# Model card: {about['model']}",
        *["**Trained on composed (synthetic) music.** It is no evidence about real genres, and "
          "its answers to real music mean nothing."] * corpus["synthetic"],
        _what(about),
        _data(results, about),
        _accuracy(model, corpus["group_by"]),
        _failures(model, corpus["genres"], about),
        _use(corpus, about),
        _licence(about["corpus"]["name"]),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _what(about):
    kinds = {"logistic": "logistic regression, a matrix", "litert": "a network, as LiteRT"}
    recipe, settings = about["recipe"] or {}, about["hyperparameters"]
    rows = {"kind": kinds.get(about.get("kind"), "a network, as Keras keeps it")}
    if "reads" in recipe:
        inputs = {"log_mel": "log-mel spectrograms", "features": "statistics of features"}
        rows["hears"] = (
            " and ".join(inputs[name] for name in recipe["reads"])
            + f" of excerpts of {recipe['excerpt_seconds']:g} s, at {recipe['sr']:,} Hz"
        )
    rows["answers"] = f"the probability of each of {', '.join(about['labels'])}"
    rows["settings"] = ", ".join(
        f"{key} {value}" for key, value in settings.items() if value not in ("", [])
    )
    rows["made with"] = ", ".join(f"{key} {value}" for key, value in about["versions"].items())
    rows["SHA-256"] = f"`{about['sha256']}`"
    return "## What it is\n\n" + "\n".join(f"- {key}: {value}" for key, value in rows.items())


def _data(results, about):
    corpus, model = results["corpus"], results["models"][about["model"]]
    music = "composed (synthetic) music" if corpus["synthetic"] else "real music"
    kept, folds = corpus["group_by"], corpus["folds"]
    how = "no artist is on two sides of a split"
    if kept != "artist":
        how = (
            "tracks of one artist may be on two sides of a split, so that its numbers are too good"
        )
    tested = f"{folds} folds by {kept}, each tested by a model trained on the others"
    if results["protocol"] != "cv":
        tested = f"one split of the corpus's own, by {kept}"
    return (
        f"## Data and split\n\n"
        f"- corpus: {about['corpus']['name']}, {music}: {corpus['tracks']} tracks by "
        f"{corpus['artists']} artists in {len(corpus['genres'])} genres\n"
        f"- SHA-256 of the corpus: `{corpus['sha256']}`\n"
        f"- profile of the study: {results['profile']}\n"
        f"- split: {tested}; {how}\n"
        f"- scored: {model['scored_tracks']} tracks in {model['scored_groups']} groups of artists "
        "who may have played together\n\n"
        "The model itself was fitted once more to all tracks, on which nothing is left to test it. "
        "Its accuracy is that of the models of the folds."
    )


def _accuracy(model, group_by):
    def row(title, values, ci95, names):
        cells = [formatting.as_text(values[name], ci95[name]) for name in names]
        return f"| {title} | {' | '.join(cells)} |"

    measures = ("precision", "recall", "f1")
    lines = [
        "## Accuracy\n",
        f"Whole tracks, with 95 % intervals over {group_by}s; precision, recall and F1 of all are "
        "means over the genres.\n",
        f"Accuracy: **{formatting.as_text(model['accuracy'], model['ci95']['accuracy'])}** "
        f"(guessing {1 / len(model['per_genre']):.2f}); of single excerpts "
        f"{formatting.as_text(model['excerpt_accuracy'], model['ci95']['excerpt_accuracy'])}.",
    ]
    if known := model["known_artists"]:
        share = formatting.as_text(known["accuracy"], known["ci95"])
        lines[-1] += f" Of the {known['tracks']} tracks whose artist is known: {share}."
    lines += ["\n| genre | tracks | precision | recall | F1 |", "|---|---|---|---|---|"]
    for genre, one in model["per_genre"].items():
        lines.append(row(f"{genre} | {one['support']}", one, one["ci95"], measures))
    lines.append(row(f"all | {model['scored_tracks']}", model, model["ci95"], measures))
    return "\n".join(lines)


def confusions(confusion, genres) -> list[tuple[str, str, int, int]]:
    """Commonest confusions: true genre, what it is taken for, how many tracks, of how many.

    Parameters
    ----------
    confusion : array_like of int, shape (genres, genres)
        Rows true, columns predicted.
    genres : sequence of str
    """
    counts = np.array(confusion)
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    cells = [divmod(int(cell), len(genres)) for cell in order]
    total = counts.sum(axis=1)
    return [
        (genres[a], genres[b], int(wrong[a, b]), int(total[a])) for a, b in cells if wrong[a, b]
    ]


def _failures(model, genres, about):
    lines = [
        f"- {true} taken for {said}: {count} of {total} tracks"
        for true, said, count, total in confusions(model["confusion"], genres)
    ] or ["- none was seen"]
    weak = [g for g, one in model["per_genre"].items() if one["support"] and one["recall"] < WEAK]
    if weak:
        lines.append(f"- mostly missed (recall below {WEAK}): {', '.join(weak)}")
    if sure := about.get("abstain"):
        lines.append(
            f"- unsure below a confidence of {sure['below']:.2f}; of the tracks above it "
            f"({100 * sure['coverage']:.0f} %) it names the right genre for "
            f"{formatting.as_text(sure['accuracy'], sure['ci95'])}"
        )
    if unlike := about.get("unlike"):
        lines.append(
            f"- {100 * unlike['false_alarms']:.1f} % of its own tracks are called unlike it, "
            "and a strange genre of familiar sound is not noticed"
        )
    return "## Known failures\n\n" + "\n".join(lines)


def _use(corpus, about):
    lines = [
        "- for: naming the likeliest of these genres for a recording of music, with a probability, "
        "in study, teaching and sorting one's own collection",
        f"- knows {len(corpus['genres'])} genres and must name one of them, whatever it hears",
        "- genres are what this corpus calls so; where listeners disagree, it has one opinion",
        "- not for: decisions about people, royalties or rights",
    ]
    if "kind" not in about:
        lines.append("- it was not exported, so that it cannot hear a recording by itself")
    return "## Use and limits\n\n" + "\n".join(lines)


def _licence(corpus):
    music = MUSIC.get(corpus, MUSIC["folder"])
    return f"## Licence and data\n\nThe code is MIT-licensed. {music}"


def pretrained() -> str:
    """Card of the model that comes with this package, from what is stored beside it."""
    beside = recogniser.PRETRAINED.with_suffix(".results.json")
    return card(files.read_json(beside), exported_model.read_sidecar(recogniser.PRETRAINED))
