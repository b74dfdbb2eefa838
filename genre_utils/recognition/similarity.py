"""Music that sounds alike: nearest neighbours of a recording, and why they are near.

A track is a vector of its *sound* and its *genres*, whose squared distances are added.
"""

import csv
from functools import partial
from zipfile import BadZipFile

import numpy as np
from tqdm import tqdm

from genre_utils.features import decoding
from genre_utils.recognition import batch, exported_model, listening, output, recogniser
from genre_utils.workspace import evidence, files

COUNT = 10  # neighbours that are told, and that precision is measured on
SAME_TEMPO = 0.05  # share by which tempi may differ that are called the same
HOP, FRAME = 256, 1024  # samples, of the spectrum that a tempo is read from
SLOWEST, FASTEST, USUAL = 40.0, 240.0, 120.0  # beats per minute
COLUMNS: tuple[str, ...] = ("query", "rank", "audio_file", "distance", "genre")
COLUMNS += ("tempo_bpm", "timbre_nearer_than", "reason")


class SimilarityError(ValueError):
    """Neighbours cannot be found; the message says why."""


def sound_part(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Feature statistics of tracks, (tracks, columns), standardised by the excerpts of a corpus.

    1 is the distance of two unrelated excerpts: each column is 2 scale^2 apart in mean of squares.
    """
    return (x - mean) / scale / np.sqrt(2 * x.shape[1])


def genre_part(p: np.ndarray) -> np.ndarray:
    """Roots of probabilities, (tracks, genres): their distance is Hellinger's, from 0 to 1."""
    return np.sqrt(p / 2)


def nearest(x: np.ndarray, queries: np.ndarray, count: int = COUNT):
    """Distances and numbers of the rows of `x` nearest to each row of `queries`."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=min(count, len(x)), algorithm="brute")
    return search.fit(x).kneighbors(queries)


def reason(query: dict, other: dict, nearer: float, among: str = "the library") -> str:
    """Why a track is near, or is not: genre, tempo, share of `among` with a farther timbre."""
    one, two = query["genre"], other["genre"]
    same = f"same genre by the model: {two}"
    parts = [same if one == two else f"another genre by the model: {two}, not {one}"]
    tempi = np.array([query["tempo"], other["tempo"]])
    if np.isfinite(tempi).all():
        close = np.ptp(tempi) <= SAME_TEMPO * tempi.max()
        told = f"{tempi[0]:.0f} against {tempi[1]:.0f} beats/min"
        parts.append(f"{'same' if close else 'another'} tempo: {told}")
    parts.append(f"timbre nearer than {int(100 * nearer)} % of {among}")
    return "; ".join(parts)


def shares_farther(timbre: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Share of the other rows of `timbre` that are farther from `query` than each row is."""
    apart = np.linalg.norm(timbre - query, axis=1)
    farther = len(apart) - np.searchsorted(np.sort(apart), apart, side="right")
    return farther / max(1, len(apart) - 1)


def _tempo(y, sr):
    """Beats per minute (Ellis 2007, J. New Music Research 36); NaN if too short or nothing repeats.

    The period at which the rise of the spectrum repeats itself most, weighted by how usual it is.
    """
    import scipy.fft

    lags = np.arange(int(60 * sr / HOP / FASTEST), int(60 * sr / HOP / SLOWEST) + 1)
    if len(y) < FRAME + 2 * HOP * lags[-1]:
        return float("nan")
    frames = np.lib.stride_tricks.sliding_window_view(y, FRAME)[::HOP]
    level = np.log1p(100 * np.abs(scipy.fft.rfft(frames * np.hanning(FRAME), axis=1)))
    rise = np.maximum(0, np.diff(level, axis=0)).mean(axis=1)
    rise = np.convolve(rise - rise.mean(), np.hanning(9), "same")  # beats fall between frames
    power = np.abs(scipy.fft.rfft(rise, scipy.fft.next_fast_len(2 * len(rise)))) ** 2
    repeats = scipy.fft.irfft(power)[lags] / (len(rise) - lags)
    if repeats.max() <= 0:
        return float("nan")
    rates = 60 * sr / HOP / lags
    return float(rates[np.argmax(repeats * np.exp(-0.5 * np.log2(rates / USUAL) ** 2))])


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
            tempi.append(_tempo(y, recipe["sr"]))
    if not x:
        raise listening.RecognitionError("there is no sound in it, or nothing but silence")
    known = [value for value in tempi if np.isfinite(value)]
    return {
        "x": np.concatenate(x).mean(axis=0),
        "p": np.concatenate(p).mean(axis=0),
        "tempo": np.float64(np.median(known) if known else np.nan),
    }


def search(name: str, folder: str, count: int = COUNT, *, threads: int = 1):
    """Find what sounds like a file in a folder, with the model of this package.

    Returns the nearest recordings, as dicts by `COLUMNS`, and the files left out, with the reason.
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
    return _neighbours(model, name, query, others, count), failed


def _described_or_why(model, path):
    try:
        return _described(model, path)
    except batch.FAILURES as error:
        return batch.reason(error)


def _neighbours(model, name, query, others, count):
    paths, tracks = list(others), [query, *others.values()]
    x, p = (np.stack([track[key] for track in tracks]) for key in ("x", "p"))
    mean, scale = (model.arrays[name][: x.shape[1]] for name in ("mean", "scale"))
    sound = sound_part(x, mean, scale)  # the features come first
    timbre = sound[:, _timbre_columns(model.about["recipe"])]
    farther = shares_farther(timbre[1:], timbre[0])
    vectors = np.hstack([genre_part(p), sound])
    genres = [model.about["labels"][column] for column in p.argmax(axis=1)]
    seen = [{"genre": g, "tempo": float(t["tempo"])} for g, t in zip(genres, tracks, strict=True)]
    distances, rows = nearest(vectors[1:], vectors[:1], count)
    found = []
    for rank, (distance, row) in enumerate(zip(distances[0], rows[0], strict=True), 1):
        one = seen[1 + row]
        bpm = round(one["tempo"], 1) if np.isfinite(one["tempo"]) else None
        audio_file, nearer = recogniser.printable(paths[row]), round(float(farther[row]), 4)
        neighbour = [recogniser.printable(name), rank, audio_file, round(distance, 4), one["genre"]]
        neighbour += [bpm, nearer, reason(seen[0], one, farther[row])]
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
