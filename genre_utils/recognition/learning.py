"""A recogniser of one's own music in one go: audit, features, folds by artist, model and card."""

from dataclasses import dataclass
from pathlib import Path

from genre_utils import data, features, models
from genre_utils.data import parquet
from genre_utils.data.track_lists import CorpusError
from genre_utils.evaluation import study_results
from genre_utils.recognition import exported_model, exporting, model_card, output
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder

MODEL = "pretrained_fusion"
WIDE = 20.0  # points between the ends of an interval from which an accuracy is known roughly


@dataclass(frozen=True)
class Learned:
    """A model of one's own, and what to know of it."""

    path: Path  # the exported model; its sidecar and card are beside it
    excluded: int  # files that were not used
    warnings: tuple[str, ...]  # of the music

    def __str__(self) -> str:
        about = exported_model.read_sidecar(self.path)
        accuracy, corpus, labels = about["accuracy"], about["corpus"], about["labels"]
        value, low, high = (100 * share for share in (accuracy["value"], *accuracy["ci95"]))
        by_genre = sorted(accuracy["per_genre"].items(), key=lambda genre: genre[1])
        rough = "\nThis is known roughly only: more artists would tell."
        return (
            "".join(f"Warning: {warning}\n" for warning in self.warnings)
            + f"Learned from {corpus['tracks']} tracks by {corpus['artists']} artists "
            f"({self.excluded} files were excluded) to tell {', '.join(labels)}.\n"
            f"Of tracks by artists that it has not heard it is right for {value:.0f} %; with other "
            f"artists that might be {low:.0f} to {high:.0f} % (95 %). Chance level is "
            f"{100 / len(labels):.0f} %.{rough if high - low > WIDE else ''}\nBy genre: "
            + ", ".join(f"{name} {100 * share:.0f} %" for name, share in by_genre)
            + f"\nModel: {self.path}\nCard:  {self.path.with_suffix('.md')}"
        )


def learn(
    folder: Path,
    study: StudyFolder,
    *,
    clip_seconds: float,
    excerpt_seconds: float,
    folds: int,
    group_by: str,
    seed: int,
    genres: list[str],
) -> Learned:
    """Make a recogniser of a folder of music, as notebooks 01, 02, 05, 06 and 08 would.

    Parameters
    ----------
    folder : Path
        Folder of ``GENRE/clip`` files, or of parquet files.
    study : StudyFolder
        Where what is made is kept; a study of the same music goes on from it.
    clip_seconds, excerpt_seconds, folds, group_by, seed, genres
        See notebook 01.

    Returns
    -------
    Learned
        The exported model, and what to know of it.

    Raises
    ------
    CorpusError
        If there is too little music, or it cannot be split.
    """
    folder = parquet.unpacked(folder)
    found = data.find_tracks("folder", folder)
    found = found[found["genre"].isin(data.choose_genres(found, genres))].reset_index(drop=True)
    tracks = data.audit(found, folder, min_seconds=excerpt_seconds, clip_seconds=clip_seconds)
    used = tracks[tracks["status"] == "used"].reset_index(drop=True)
    for file in tracks[tracks["status"] != "used"].itertuples():
        output.tell(f"excluded  '{file.path}': {file.reason}")
    if used.empty:
        raise CorpusError(f"none of the {len(tracks)} files of '{folder}' can be used.")
    genres = data.choose_genres(used, genres)
    warnings = data.check(used, genres, group_by=group_by, folds=folds, seed=seed)
    table = data.split(used, group_by=group_by, folds=folds, seed=seed)
    described = data.describe(
        tracks, table, genres, corpus="folder", group_by=group_by, warnings=warnings
    )
    study.write(tracks=tracks, folds=table, source={"folder": str(folder)}, corpus=described)
    recipe = features.Recipe(
        clip_seconds=clip_seconds, excerpt_seconds=excerpt_seconds, loudness="rms"
    )
    features.extract(used, folder, study, recipe)
    features.embed_tracks(study)
    models.cross_validate_pretrained(study, MODEL, seed=seed)
    study.write(results=study_results.results(study, study.name))
    path = exporting.export_model(study, MODEL)
    about = files.read_json(exported_model.sidecar_path(path))
    files.write_text(path.with_suffix(".md"), model_card.card(study.results, about))
    return Learned(path, described["set_aside"], tuple(warnings))
