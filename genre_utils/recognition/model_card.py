"""Model cards, filled from results.json and the model's sidecar alone, as the report is.

Mitchell et al. 2019, Model cards for model reporting, FAT*.
"""

from pathlib import Path

import jinja2
import numpy as np

from genre_utils.plots import formatting
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder

CONFUSIONS = 5  # that a card tells
WEAK = 0.5  # recall below which a genre is called one that the model mostly misses

#: What may be done with the music that a corpus holds, by the name of the corpus.
MUSIC = {
    "synthetic": "Its music was composed by the rules of this package, which is MIT-licensed.",
    "gtzan": "GTZAN's recordings were never cleared for redistribution; none is in the model.",
    "fma": "Each FMA recording has the Creative Commons licence that its artist chose; none is in "
    "the model.",
    "folder": "Its music is that of whoever ran the study; their rights to it decide what may be "
    "done with the model.",
    "spectrograms": "Its spectrograms are those of whoever ran the study; the rights to the music "
    "decide what may be done with the model.",
}
MUSIC |= dict.fromkeys(("gtzan-mini", "gtzan_mel80"), MUSIC["gtzan"])
MUSIC["store"] = MUSIC["spectrograms"]  # as it was called before


class CardError(ValueError):
    """A card cannot be written; the message says why and what to do."""


def write_cards(study: StudyFolder) -> list[Path]:
    """Write the card of each model that a study keeps, ``models/NAME.md``.

    Parameters
    ----------
    study : StudyFolder
        With results, from notebook 06.

    Returns
    -------
    list of Path
        The cards, in the order of the study.

    Raises
    ------
    CardError
        If a model and the results are not of the same run.
    """
    results, paths = study.results, []
    for name in results["models"]:
        beside = [study.model(name, end) for end in (".npz.json", ".json")]
        if found := next((path for path in beside if path.exists()), None):
            paths.append(study.model(name, ".md"))
            files.write_text(paths[-1], card(results, files.read_json(found)))
    return paths


def card(results: dict, about: dict) -> str:
    """Card of a model, in Markdown, of a study's results and the model's sidecar."""
    corpus, model = results["corpus"], results["models"][about["model"]]
    stated = about["accuracy"]
    value = stated["value"] if isinstance(stated, dict) else stated
    if about["corpus"]["sha256"] != corpus["sha256"] or abs(value - model["accuracy"]) > 1e-9:
        raise CardError(
            f"{about['model']}: its sidecar and results.json are not of the same run (accuracy "
            f"{value:.4f} and {model['accuracy']:.4f}). Run notebooks 06 and 08 again."
        )
    genres = model["per_genre"].items()
    text = Path(__file__).with_suffix(".md.j2").read_text(encoding="utf-8")
    template = jinja2.Template(
        text, trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    return template.render(
        results,
        about={"kind": "", "abstain": None, "unlike": None, "made_from": ""} | about,
        model=model,
        confusions=_confusions(model["confusion"], corpus["genres"]),
        missed=[genre for genre, one in genres if one["support"] and one["recall"] < WEAK],
        weak=WEAK,
        music=MUSIC.get(about["corpus"]["name"], MUSIC["folder"]),
        as_text=formatting.as_text,
    )


def _confusions(confusion, genres):
    """Commonest confusions: true genre, predicted one, how many tracks, of how many."""
    total = np.sum(confusion, axis=1).tolist()
    wrong = np.array(confusion) * (1 - np.eye(len(genres), dtype=int))
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    cells = [divmod(int(cell), len(genres)) for cell in order]
    return [(genres[a], genres[b], int(wrong[a, b]), total[a]) for a, b in cells if wrong[a, b]]
