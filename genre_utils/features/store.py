"""The feature store of a study: computed in parallel, cached by content, written as it comes."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice, product
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
from tqdm import tqdm

from genre_utils.features import audio, augmentation, decoding, extraction, recipes, summarising
from genre_utils.features.excerpts import Excerpts
from genre_utils.workspace import evidence, files, parallel
from genre_utils.workspace.study_folder import StudyFolder

ROW_GROUP = 1024  # clips whose summaries are written at a time; each group costs memory as well


class ChangedFileError(RuntimeError):
    """A file is not the one that was checked; the message says which, and what to do."""


def extract(
    tracks: pd.DataFrame,
    folder: Path,
    study: StudyFolder,
    recipe: recipes.Recipe,
    *,
    copies: int = 0,
    seed: int = 0,
    effects: Sequence[str] = augmentation.EFFECTS,
    p: float = 0.5,
    families: Sequence[str] = extraction.ALL,
    n_jobs: int = -1,
) -> dict:
    """Compute the features of every track and write the study's feature store.

    What was computed before comes from the cache, so that an extraction that was stopped goes on.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks to be used: track_id, path, md5.
    folder : Path
        Folder that the paths are relative to.
    study : StudyFolder
        Gets log-mel spectrograms, what they are of, and the summary of each excerpt.
    recipe : Recipe
        How the features are computed.
    copies : int
        Augmented copies of each track, beside the original (copy 0).
    seed, effects, p : int, sequence of str, float
        Of the augmentation, see `augment`.
    families : sequence of str
        Families of features that are summarised; ``log_mel`` must be among them.
    n_jobs : int
        Processes; -1 for one per core.

    Returns
    -------
    dict
        Recipe, frame rate, families and hash of the features, as `StudyFolder.features` holds them.

    Raises
    ------
    ChangedFileError
        If a file is not there, or not the same as when its MD5 was taken.
    """
    clips = list(product(tracks.itertuples(), range(copies + 1)))
    keys = [_key(track.md5, recipe, copy, [seed, effects, p], families) for track, copy in clips]

    def job(track, copy, key):
        own = int(files.sha256(track.md5, [copy, seed])[:8], 16)  # a seed, whatever else there is
        change = {"seed": own, "effects": effects, "p": p}
        place = files.cache_folder() / "features" / key[:2] / f"{key}.npz"
        return track.track_id, folder / track.path, track.md5, recipe, families, copy, change, place

    jobs = (job(*clip, key) for clip, key in zip(clips, keys, strict=True))
    found = parallel.over(
        _cached, jobs, len(clips), desc="features", unit="clip", folder=folder, n_jobs=n_jobs
    )
    index = tracks[["track_id"]].loc[tracks.index.repeat(copies + 1)].reset_index(drop=True)
    index["copy"] = np.tile(np.arange(copies + 1), len(tracks))
    described = {
        "recipe": asdict(recipe),
        "frames_per_second": recipe.frames_per_second,
        "families": list(families),
        "sha256": files.sha256(list(index["track_id"]), keys),
    }
    return _write_store(study, index, found, (recipe.frames, recipe.n_mels), described)


def extract_from_store(
    tracks: pd.DataFrame,
    log_mel: np.ndarray,
    study: StudyFolder,
    *,
    clip_seconds: float,
    excerpt_seconds: float,
) -> dict:
    """Write the study's feature store from ready log-mel spectrograms.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks to be used: track_id, md5.
    log_mel : np.ndarray, shape (tracks, frames, mels)
        In the order of `tracks`.
    study : StudyFolder
        See `extract`.
    clip_seconds, excerpt_seconds : float
        Duration of a track, and of the excerpts that it is cut into.

    Returns
    -------
    dict
        See `extract`; there is no recipe.
    """
    frames = log_mel.shape[1]
    rate = frames / clip_seconds
    length = recipes.excerpt_frames(excerpt_seconds, rate)
    index = tracks[["track_id"]].reset_index(drop=True).assign(copy=0)
    decided = [clip_seconds, excerpt_seconds], evidence.code("spectrogram features")
    described = {
        "recipe": None,
        "frames_per_second": rate,
        "excerpt_seconds": excerpt_seconds,
        "families": extraction.FROM_LOG_MEL,
        "sha256": files.sha256(list(index["track_id"]), list(tracks["md5"]), *decided),
    }

    def computed(array):
        image = np.asarray(array, dtype=np.float32)
        families = extraction.from_log_mel(image.T, rate)
        return image, summarising.summarise(families, length), summarising.summary_columns(families)

    found = map(computed, tqdm(log_mel, desc="features", unit="clip", mininterval=0.5))
    return _write_store(study, index, found, log_mel.shape[1:], described)


def _key(md5, recipe, copy, change, families):
    decided = asdict(recipe), families, copy and [copy, change]
    return files.sha256(md5, *decided, evidence.code("features", *["augmentation"] * bool(copy)))


def _cached(track_id, path, md5, recipe, families, copy, change, place):
    """Log-mel and summary of one clip, from the cache or computed and put there."""
    try:
        with np.load(place, allow_pickle=False) as stored:
            return stored["log_mel"], stored["summary"], list(stored["columns"])
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, BadZipFile, TokenError):
        pass  # not there, or not whole: computed below
    y, sr = checked_clip(track_id, path, md5, seconds=recipe.clip_seconds, sr=recipe.sr)
    if copy:
        y = augmentation.augment(y, sr, **change)
    y = audio.normalise_loudness(y, sr, recipe.loudness)  # last, so that copies are scaled too
    found = extraction.frame_features(y, recipe, families)
    length = recipes.excerpt_frames(recipe.excerpt_seconds, recipe.frames_per_second)
    summary, columns = summarising.summarise(found, length), summarising.summary_columns(found)
    image = np.ascontiguousarray(found["log_mel"].T)
    with files.atomic_write(place) as temporary:
        np.savez(temporary, log_mel=image, summary=summary, columns=np.array(columns))
    return image, summary, columns


def checked_clip(track_id, path: Path, md5: str, **options) -> tuple[np.ndarray, int]:
    """Load a track's clip (see `load_clip`) from the file that was checked; errors name it."""
    _refuse_change(track_id, path, md5)
    try:
        return audio.load_clip(path, **options)
    except decoding.UndecodableError as error:
        raise decoding.UndecodableError(f"{track_id}: {error}") from error


def _refuse_change(track_id, path, md5):
    """Check that a file is the one whose MD5 the cache goes by."""
    try:
        found = files.file_md5(decoding.on_disk(path))
    except OSError as error:
        found = str(error.strerror)
    if found != md5:
        raise ChangedFileError(
            f"{track_id}: the file {path} has changed since notebook 01 checked it (then its MD5 "
            f"was {md5}, now: {found}). Put it back, or run the study again from the check on: "
            "notebook 01, or `--from 01`."
        )


def _write_store(study, index, found, shape, described):
    """Write the arrays as they come, so that memory does not grow with the number of tracks."""
    (frames, mels), lengths = shape, []
    # written to, not mapped: the pages of a mapped file count as memory of this process
    with files.atomic_write(study.place("log_mel")) as temporary, open(temporary, "wb") as array:
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(index), frames, mels)}
        np.lib.format.write_array_header_1_0(array, header)

        def summaries():
            for image, summary, columns in found:
                array.write(image[:frames].tobytes())
                array.write(bytes(4 * mels * (frames - len(image[:frames]))))  # silence
                lengths.append(len(image[:frames]))
                yield summary, columns

        _write_summary(study.place("summary"), index, summaries())
    study.write(excerpts=index.assign(frames=lengths), features=described)
    return described


def _write_summary(path, index, summaries):
    """Write the summaries of some clips at a time, as row groups of a parquet file."""
    writer = None
    with files.atomic_write(path) as temporary, ExitStack() as stack:
        for start in range(0, len(index), ROW_GROUP):
            group = _summary_table(index.iloc[start : start + ROW_GROUP], summaries)
            if not writer:
                new = pyarrow.parquet.ParquetWriter(temporary, group.schema)
                writer = stack.enter_context(new)
            writer.write_table(group)
            del group  # so that there is one of them in memory


def _summary_table(clips, summaries):
    """Take the summaries of some clips from those that come, as a table."""
    parts, columns = zip(*islice(summaries, len(clips)), strict=True)
    statistics = pd.DataFrame(np.concatenate(parts), columns=columns[0])
    table = pd.concat([_excerpt_table(clips, [len(part) for part in parts]), statistics], axis=1)
    return pyarrow.Table.from_pandas(table, preserve_index=False)


def _excerpt_table(index, counts):
    """Table with one row per excerpt: track_id, copy, excerpt."""
    table = index.loc[index.index.repeat(counts), ["track_id", "copy"]].reset_index(drop=True)
    return table.assign(excerpt=np.concatenate([np.arange(count) for count in counts]))


def load_excerpts(study: StudyFolder) -> tuple[Excerpts, pd.DataFrame]:
    """Cut the store's tracks into the excerpts that models learn from.

    Parameters
    ----------
    study : StudyFolder
        A study whose features were extracted.

    Returns
    -------
    excerpts : Excerpts, shape (excerpts, frames, mels), float32
        Log-mel spectrograms, which are read from the store where they are asked for.
    table : pd.DataFrame
        What each of them is: track_id, copy, excerpt.
    """
    described, index = study.features, study.excerpts
    seconds = (described["recipe"] or described)["excerpt_seconds"]
    length = recipes.excerpt_frames(seconds, described["frames_per_second"])
    counts = (index["frames"] // length).to_numpy()
    study.require("log_mel")
    excerpts = Excerpts(study.place("log_mel"), counts, length)
    return excerpts, _excerpt_table(index, counts)


def clip(study: StudyFolder, track_id: str) -> np.ndarray:
    """Load one of a study's tracks, to be listened to.

    Parameters
    ----------
    study : StudyFolder
        A study of recordings.
    track_id : str
        One of its tracks.

    Returns
    -------
    np.ndarray, shape (n,), float32
        Samples at `SAMPLE_RATE`.
    """
    path = study.tracks.set_index("track_id").loc[track_id, "path"]
    seconds = study.features["recipe"]["clip_seconds"]
    return audio.load_clip(Path(study.source["folder"]) / path, seconds=seconds)[0]
