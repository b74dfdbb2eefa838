"""Music that sounds alike: nearest neighbours of a recording, why they are near, how good they are.

A track is a vector of two parts. Its *sound* is the mean of its standardised feature statistics, so
scaled that 1 is the root mean square distance of two unrelated excerpts of the training corpus. Its
*genres* are the roots of their probabilities, whose distance is Hellinger's: 0 for the same
probabilities, 1 for no genre in common. The distance of two tracks is the root of the sum of both
squares. What is heard of a file needs no TensorFlow and stays in the cache.
"""

import csv
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from genre_utils.features import decoding
from genre_utils.recognition import batch, listening, recogniser
from genre_utils.workspace import evidence, files

COUNT = 10  # neighbours that are told, and that precision is measured on
SAME_TEMPO = 0.05  # share by which tempi may differ that are called the same
HOP, FRAME = 256, 1024  # samples, of the spectrum that a tempo is read from
SLOWEST, FASTEST, USUAL = 40.0, 240.0, 120.0  # beats per minute
COLUMNS = ("query", "rank", "audio_file", "distance", "genre", "tempo_bpm", "timbre_nearer_than")
COLUMNS += ("reason",)


class SimilarityError(ValueError):
    """Neighbours cannot be found; the message says why."""


# ---------------------------------------------------------------------------- what is near


def sound_part(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Sound of tracks, (tracks, columns), in units of the distance of two unrelated excerpts.

    Parameters
    ----------
    x : np.ndarray, shape (tracks, columns)
        Feature statistics, means over the excerpts of each track.
    mean, scale : np.ndarray, shape (columns,)
        Mean and standard deviation over the excerpts of a corpus. Two excerpts drawn from it are
        2 scale^2 apart in each column, in the mean of squares.
    """
    return (x - mean) / scale / np.sqrt(2 * x.shape[1])


def genre_part(p: np.ndarray) -> np.ndarray:
    """Roots of probabilities, (tracks, genres): their distance is Hellinger's, from 0 to 1."""
    return np.sqrt(p / 2)


def nearest(x: np.ndarray, queries: np.ndarray, count: int = COUNT):
    """Find the rows of `x` nearest to each of `queries`: distances and rows, nearest first.

    Parameters
    ----------
    x, queries : np.ndarray, shape (rows, columns)
    count : int
        As many as there are rows, if that is less.
    """
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=min(count, len(x)), algorithm="brute")
    return search.fit(x).kneighbors(queries)


def reason(query: dict, other: dict, nearer: float, among: str = "the library") -> str:
    """Say in words why a track is near, or is not.

    Parameters
    ----------
    query, other : dict
        genre, and tempo in beats per minute (NaN if it is not known).
    nearer : float
        Share of the other tracks whose timbre is farther from the query's.
    among : str
        What those are tracks of.
    """
    one, two = query["genre"], other["genre"]
    same = two if one == two else f"{two}, not {one}"
    same = f"{'same' if one == two else 'another'} genre by the model: {same}"
    parts, tempi = [same], np.array([query["tempo"], other["tempo"]])
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


# ---------------------------------------------------------------------------- a library of files


def tempo(y: np.ndarray, sr: int) -> float:
    """Tempo of a recording in beats per minute; NaN if it is too short or nothing repeats.

    The period at which the rise of the spectrum repeats itself most, weighted by how usual its
    tempo is: a normal distribution over octaves around 120 (Ellis 2007, J. New Music Research 36).
    Half or twice what a listener would tap is its usual error.

    Parameters
    ----------
    y : np.ndarray, shape (n,)
    sr : int
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


def timbre_columns(recipe: dict) -> slice:
    """Columns of a model's features that are statistics of the MFCCs."""
    names = recipe["families"]
    if names[:2] != ["log_mel", "mfcc"]:
        raise SimilarityError(f"a model that reads {', '.join(names)} knows no timbre")
    start = 2 * recipe["n_mels"]  # each band has a mean and a deviation, as has each of 20 MFCCs
    return slice(start, start + 40)


def describe(model: recogniser.MusicStyleClassifier, path: str | Path) -> dict:
    """What similarity needs of a file: x, p (means over its excerpts), and tempo.

    Parameters
    ----------
    model : recognition.MusicStyleClassifier
        A logistic regression on features.
    path : str or Path

    Raises
    ------
    recognition.RecognitionError, audio.UndecodableError, OSError
        See `listening.windows`; and if there is nothing in it but silence.
    """
    recipe, x, p, tempi = model.about["recipe"], [], [], []
    for _, y in listening.windows(path, seconds=recipe["clip_seconds"], sr=recipe["sr"]):
        if np.abs(y).max() >= decoding.SILENCE:
            heard = model.extract_features(y)
            x.append(heard["features"])
            p.append(model.predict(heard))
            tempi.append(tempo(y, recipe["sr"]))
    if not x:
        raise listening.RecognitionError("there is no sound in it, or nothing but silence")
    known = [value for value in tempi if np.isfinite(value)]
    return {
        "x": np.concatenate(x).mean(axis=0),
        "p": np.concatenate(p).mean(axis=0),
        "tempo": np.float64(np.median(known) if known else np.nan),
    }


def described(model: recogniser.MusicStyleClassifier, path: str | Path) -> dict:
    """`describe`, from the cache if the same content was described before; and its md5."""
    md5 = files.file_md5(decoding.on_disk(path))
    code = evidence.code("described recording")
    key = files.sha256(md5, model.about["sha256"], code)
    place = files.cache_folder() / "similarity" / key[:2] / f"{key}.npz"
    try:
        with np.load(place, allow_pickle=False) as stored:
            return {"md5": md5, **{name: stored[name] for name in ("x", "p", "tempo")}}
    except (OSError, EOFError, KeyError, ValueError, BadZipFile):
        found = describe(model, path)  # it was not there, or not whole
    with files.atomic_write(place) as temporary:
        np.savez(temporary, **found)
    return {"md5": md5, **found}


def library(model: recogniser.MusicStyleClassifier, paths, *, threads: int):
    """Yield each path with what `described` says of it, or what is wrong with it, in order.

    Parameters
    ----------
    model : recognition.MusicStyleClassifier
    paths : list of str
    threads : int
        Files at a time.

    Yields
    ------
    path : str
    found : dict or str
    """
    import joblib

    def answer(path):
        try:
            return path, described(model, path)
        except batch.FAILURES as error:
            return path, batch.why(error)

    run = joblib.Parallel(threads, prefer="threads", return_as="generator")
    return run(joblib.delayed(answer)(path) for path in paths)


def similar(model, name: str, query: dict, others: dict[str, dict], count: int = COUNT):
    """Answers for the nearest of other recordings, nearest first.

    Parameters
    ----------
    model : recognition.MusicStyleClassifier
    name : str
        File that the query is in.
    query : dict
        From `described`.
    others : dict of str to dict
        By file, from `described`. Those with the content of the query are left out.
    count : int

    Returns
    -------
    list of dict
        With the keys `COLUMNS`; tempo_bpm is None where it is not known.

    Raises
    ------
    SimilarityError
        If there are no others.
    """
    others = {path: one for path, one in others.items() if one["md5"] != query["md5"]}
    if not others:
        raise SimilarityError("there is no recording in the library but the query itself")
    tracks = [query, *others.values()]
    x, p = (np.stack([track[key] for track in tracks]) for key in ("x", "p"))
    sound = sound_part(x, model.arrays["mean"], model.arrays["scale"])
    timbre = sound[:, timbre_columns(model.about["recipe"])]
    farther = shares_farther(timbre[1:], timbre[0])
    vectors = np.hstack([genre_part(p), sound])
    told = [
        {"genre": model.about["labels"][track["p"].argmax()], "tempo": float(track["tempo"])}
        for track in tracks
    ]
    answers, paths = [], list(others)
    distances, rows = nearest(vectors[1:], vectors[:1], count)
    for rank, (distance, row) in enumerate(zip(distances[0], rows[0], strict=True), 1):
        one = told[1 + row]
        answer = {"query": recogniser.printable(name), "rank": rank}
        answer |= {"audio_file": recogniser.printable(paths[row]), "distance": round(distance, 4)}
        answer |= {"genre": one["genre"]}
        answer |= {"tempo_bpm": round(one["tempo"], 1) if np.isfinite(one["tempo"]) else None}
        answer |= {"timbre_nearer_than": round(float(farther[row]), 4)}
        answers.append(answer | {"reason": reason(told[0], one, farther[row])})
    return answers


def search(name: str, folder: str, count: int = COUNT, *, threads: int = 1):
    """Find what sounds like a file in a folder, with the model of this package.

    Parameters
    ----------
    name : str
        File to find others like; it may lie in the folder.
    folder : str
    count : int
    threads : int
        Files at a time.

    Returns
    -------
    answers : list of dict
        See `similar`.
    failed : dict of str to str
        Files of the folder that were left out, and why.

    Raises
    ------
    SimilarityError
        If the file cannot be read, or there is nothing to compare it with.
    """
    from tqdm import tqdm

    model = recogniser.MusicStyleClassifier()
    try:
        query = described(model, name)
    except batch.FAILURES as error:
        raise SimilarityError(f"{name!a}: {batch.why(error)}") from error
    paths, others, failed = batch.find([folder]), {}, {}
    found = library(model, paths, threads=threads)
    for path, one in tqdm(found, total=len(paths), desc="library", unit="file"):
        (failed if isinstance(one, str) else others)[path] = one
    return similar(model, name, query, others, count), failed


def write(handle, answers: list[dict], how: str) -> None:
    """Write answers as JSON Lines (`how` is ``json``) or as CSV."""
    if how == "json":
        handle.writelines(batch.json_line(answer) + "\n" for answer in answers)
        return
    lines = csv.writer(handle, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows([batch.cell(answer[key]) for key in COLUMNS] for answer in answers)
