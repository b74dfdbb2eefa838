"""Music that sounds alike: nearest neighbours of a recording, and why they are near."""

import csv
from functools import partial
from zipfile import BadZipFile

import numpy as np
from tqdm import tqdm

from genre_utils.features import decoding, musical, neighbours
from genre_utils.recognition import batch, exported_model, listening, output, recogniser
from genre_utils.workspace import evidence, files

COLUMNS: tuple[str, ...] = ("query", "rank", "audio_file", "distance", "genre")
COLUMNS += ("tempo_bpm", "timbre_nearer_than", "reason")


class SimilarityError(ValueError):
    """Neighbours cannot be found; the message says why."""


def _timbre_columns(recipe):
    """Columns of a model's features that are statistics of the MFCCs."""
    start = 2 * recipe["n_mels"]  # each band has a mean and a deviation, as has each of 20 MFCCs
    return slice(start, start + 40)


def _described(model, path):
    """Digest, tempo, mean features and probabilities of a file, from the cache if there."""
    path = decoding.on_disk(path)
    if path.exists() and not path.is_file():  # a pipe would keep us waiting
        raise listening.RecognitionError("it is a folder, pipe, socket or device, and no file")
    md5 = files.file_md5(path)
    key = files.sha256(md5, model.about["sha256"], evidence.code("described recording"))
    place = files.cache_folder() / "similarity" / key[:2] / f"{key}.npz"
    try:
        with np.load(place, allow_pickle=False) as stored:
            return {"md5": md5, **{name: stored[name] for name in ("x", "p", "tempo")}}
    except (OSError, EOFError, KeyError, ValueError, BadZipFile):
        found = _describe(model, path)  # it was not there, or not whole
    files.keep(place, lambda temporary: np.savez(temporary, **found))
    return {"md5": md5, **found}


def _describe(model, path):
    recipe = model.about["recipe"]
    x, p, tempi = [], [], []
    seconds, sr, at_most = recipe["clip_seconds"], recipe["sr"], listening.HEARD_SECONDS
    for _, y in listening.windows(path, seconds=seconds, sr=sr, at_most=at_most):
        if decoding.audible_seconds(y, recipe["sr"]):
            heard = model.extract_features(y)
            x.append(heard["features"])
            p.append(model.predict(heard))
            tempi.append(musical.tempo(y, recipe["sr"]))
    if not x:
        raise listening.RecognitionError("there is no sound in it, or nothing but silence")
    known = [value for value in tempi if np.isfinite(value)]
    return {
        "x": np.concatenate(x).mean(axis=0),
        "p": np.concatenate(p).mean(axis=0),
        "tempo": np.float64(np.median(known) if known else np.nan),
    }


def search(name: str, folder: str, count: int = neighbours.COUNT, *, threads: int = 1):
    """Find what sounds like a file in a folder, with the model of this package.

    Returns the nearest recordings, as dicts by `COLUMNS`, and the files left out, with the reason.
    """
    model, query, others, failed = described(name, folder, threads=threads)
    return _neighbours(model, name, query, others, count), failed


def described(name: str, folder: str, *, threads: int = 1):
    """Describe a file and the other music in a folder.

    Returns the model, the file's description, those of the others by their paths, and the files
    left out, with the reason.
    """
    model, others, failed = exported_model.MusicStyleClassifier(), {}, {}
    query = _described_or_why(model, name)
    if isinstance(query, str):
        raise SimilarityError(f"'{name}' cannot be compared: {query}.")
    paths = batch.find([folder])
    heard = batch.in_threads(partial(_described_or_why, model), paths, threads)
    bar = tqdm(heard, total=len(paths), desc="library", unit="file")
    for path, one in zip(paths, bar, strict=True):
        if isinstance(one, str):
            failed[path] = one
        elif one["md5"] != query["md5"]:
            others[path] = one
    if not others:
        held = "usable recording but the query itself" if paths else "music"
        raise SimilarityError(f"There is no {held} in '{folder}'.")
    return model, query, others, failed


def _described_or_why(model, path):
    try:
        return _described(model, path)
    except batch.FAILURES as error:
        return batch.reason(error)


def embedded(model, tracks: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Sound of some described tracks, and their vectors, of genres and sound: (tracks, columns)."""
    x, p = (np.stack([track[key] for track in tracks]) for key in ("x", "p"))
    mean, scale = (model.arrays[name][: x.shape[1]] for name in ("mean", "scale"))
    sound = neighbours.sound_part(x, mean, scale)  # the features come first
    return sound, np.hstack([neighbours.genre_part(p), sound])


def _neighbours(model, name, query, others, count):
    paths, tracks = list(others), [query, *others.values()]
    sound, vectors = embedded(model, tracks)
    timbre = sound[:, _timbre_columns(model.about["recipe"])]
    farther = neighbours.shares_farther(timbre[1:], timbre[0])
    genres = [model.about["labels"][track["p"].argmax()] for track in tracks]
    seen = [{"genre": g, "tempo": float(t["tempo"])} for g, t in zip(genres, tracks, strict=True)]
    distances, rows = neighbours.nearest(vectors[1:], vectors[:1], count)
    found = []
    for rank, (distance, row) in enumerate(zip(distances[0], rows[0], strict=True), 1):
        one = seen[1 + row]
        bpm = round(one["tempo"], 1) if np.isfinite(one["tempo"]) else None
        audio_file, nearer = recogniser.printable(paths[row]), round(float(farther[row]), 4)
        neighbour = [recogniser.printable(name), rank, audio_file, round(distance, 4), one["genre"]]
        neighbour += [bpm, nearer, neighbours.reason(seen[0], one, farther[row])]
        found.append(dict(zip(COLUMNS, neighbour, strict=True)))
    return found


def write(handle, found: list[dict], how: str) -> None:
    """Write what `search` found as JSON Lines (`how` is ``json``) or as CSV."""
    if how == "json":
        handle.writelines(output.json_line(one) + "\n" for one in found)
        return
    lines = csv.writer(handle, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows([output.cell(one[key]) for key in COLUMNS] for one in found)
