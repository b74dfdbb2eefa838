"""Features of a clip, computed from one shared spectrum and cached by content."""

from dataclasses import asdict, dataclass
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from genre_utils import audio, augmentation, files

TOP_DB = 80.0  # decibels below a clip's loudest point at which the log-mel spectrogram ends
ROLLING_DELTA = 9  # frames over which a delta is fitted

#: What each family is, its unit, and whether it follows from a log-mel spectrogram alone.
FAMILIES = {
    "log_mel": ("mel-band power, decibels scaled to 0..1", True),
    "mfcc": ("cosine transform of the log-mel spectrum (Davis and Mermelstein 1980)", True),
    "mfcc_delta": ("slope of the MFCCs over 9 frames (Furui 1986)", True),
    "mfcc_delta2": ("curvature of the MFCCs over 9 frames", True),
    "chroma": ("power per pitch class, 0..1 (Fujishima 1999)", False),
    "zero_crossing_rate": ("sign changes per sample", False),
    "short_time_energy": ("mean squared sample of a frame", False),
    "spectral_centroid": ("centre of gravity of the STFT magnitude, Hz", False),
    "spectral_mean": ("mean STFT magnitude of a frame", False),
    "spectral_variance": ("variance of the STFT magnitude of a frame", False),
}


@dataclass(frozen=True)
class Recipe:
    """How features are computed: all that recognition needs to do the same to a new file.

    Attributes
    ----------
    sr : int
        Sample rate in Hz.
    n_fft, hop_length : int
        Window and step of the short-time Fourier transform, in samples.
    n_mels, n_mfcc : int
        Mel bands and cepstral coefficients.
    clip_seconds, excerpt_seconds : float
        Longest part of a recording that is used (its middle), and the excerpts it is cut into.
    """

    sr: int = audio.SAMPLE_RATE
    n_fft: int = 2048
    hop_length: int = 1024
    n_mels: int = 64
    n_mfcc: int = 20
    clip_seconds: float = 30.0
    excerpt_seconds: float = 6.0

    @property
    def frames(self) -> int:
        """Frames of a clip of full length."""
        return 1 + int(self.clip_seconds * self.sr) // self.hop_length

    @property
    def frames_per_second(self) -> float:
        """Frame rate in Hz."""
        return self.sr / self.hop_length


def excerpt_frames(excerpt_seconds: float, frames_per_second: float) -> int:
    """Whole frames that an excerpt spans."""
    return int(excerpt_seconds * frames_per_second)


def frame_features(y: np.ndarray, recipe: Recipe) -> dict[str, np.ndarray]:
    """Compute every family of a clip; its spectrum is computed once and shared.

    Parameters
    ----------
    y : np.ndarray, shape (n,), float32
        Mono samples at ``recipe.sr``.
    recipe : Recipe

    Returns
    -------
    dict of str to np.ndarray, shape (dimensions, frames), float32
        One entry per name in `FAMILIES`.
    """
    import librosa

    shape = {"n_fft": recipe.n_fft, "hop_length": recipe.hop_length}
    magnitude = np.abs(librosa.stft(y, **shape))
    power = magnitude**2
    mel = librosa.feature.melspectrogram(S=power, sr=recipe.sr, n_mels=recipe.n_mels)
    decibels = librosa.power_to_db(mel, ref=np.max, top_db=TOP_DB)
    framed = librosa.util.frame(
        np.pad(y, recipe.n_fft // 2), frame_length=recipe.n_fft, hop_length=recipe.hop_length
    )
    computed = {
        **from_decibels(decibels, recipe.n_mfcc),
        "log_mel": decibels / TOP_DB + 1.0,
        "chroma": librosa.feature.chroma_stft(S=power, sr=recipe.sr, tuning=0.0),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(
            y, frame_length=recipe.n_fft, hop_length=recipe.hop_length
        ),
        "short_time_energy": np.mean(framed**2, axis=0, keepdims=True),
        "spectral_centroid": librosa.feature.spectral_centroid(S=magnitude, sr=recipe.sr),
        "spectral_mean": magnitude.mean(axis=0, keepdims=True),
        "spectral_variance": magnitude.var(axis=0, keepdims=True),
    }
    return {family: computed[family].astype(np.float32) for family in FAMILIES}


def from_decibels(decibels: np.ndarray, n_mfcc: int = 20) -> dict[str, np.ndarray]:
    """Compute what follows from a log-mel spectrogram alone: MFCCs and their deltas.

    Parameters
    ----------
    decibels : np.ndarray, shape (mels, frames)
        Mel-band power in decibels, or any linear function of it.
    n_mfcc : int

    Returns
    -------
    dict of str to np.ndarray, shape (n_mfcc, frames)
    """
    import librosa

    mfcc = librosa.feature.mfcc(S=decibels, n_mfcc=n_mfcc)
    return {
        "mfcc": mfcc,
        "mfcc_delta": librosa.feature.delta(mfcc, width=ROLLING_DELTA),
        "mfcc_delta2": librosa.feature.delta(mfcc, width=ROLLING_DELTA, order=2),
    }


def summary_columns(families: dict[str, np.ndarray]) -> list[str]:
    """Names of the columns of `summarise`: ``mfcc_01_mean``, ``mfcc_01_std``, ..."""
    return [
        f"{family}_{i:02d}_{statistic}"
        for family, values in families.items()
        for i in range(1, len(values) + 1)
        for statistic in ("mean", "std")
    ]


def summarise(families: dict[str, np.ndarray], length: int) -> np.ndarray:
    """Mean and standard deviation of every feature over each excerpt.

    Parameters
    ----------
    families : dict of str to np.ndarray, shape (dimensions, frames)
    length : int
        Frames of an excerpt; what is left over at the end is not used.

    Returns
    -------
    np.ndarray, shape (excerpts, 2 * dimensions of all families), float32
        Its columns are named by `summary_columns`.
    """
    values = np.concatenate(list(families.values()))
    count = values.shape[1] // length
    cut = values[:, : count * length].reshape(len(values), count, length)
    statistics = np.stack([cut.mean(axis=2), cut.std(axis=2)], axis=1)
    return statistics.reshape(2 * len(values), count).T.astype(np.float32)


def family_of(column: str) -> str:
    """Family of a summary column: ``mfcc_01_mean`` -> ``mfcc``."""
    return column.rsplit("_", 2)[0]


# ---------------------------------------------------------------------------- the store


def extract(
    tracks: pd.DataFrame,
    folder: Path,
    study: Path,
    recipe: Recipe,
    *,
    copies: int = 0,
    seed: int = 0,
    n_jobs: int = -1,
) -> dict:
    """Compute the features of every track and write the study's feature store.

    What was computed before is read from the cache, whose keys are the content of the file and
    everything that decides the result.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks to be used: track_id, path, md5.
    folder : Path
        Folder that the paths are relative to.
    study : Path
        Where ``features.npy`` (rows, frames, mels), ``features.parquet`` (which row is what),
        ``summary.parquet`` and ``features.json`` are written.
    recipe : Recipe
    copies : int
        Augmented copies of each track, beside the original (copy 0).
    seed : int
        Seed of the augmentation.
    n_jobs : int
        Processes; -1 for one per core.

    Returns
    -------
    dict
        What ``features.json`` holds.
    """
    jobs = [
        (
            folder / track.path,
            recipe,
            copy,
            _draw(track.md5, copy, seed),
            _key(track.md5, recipe, copy, seed),
        )
        for track in tracks.itertuples()
        for copy in range(copies + 1)
    ]
    tasks = (joblib.delayed(_cached)(*job) for job in jobs)
    found = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    found = tqdm(found, total=len(jobs), desc="features", unit="clip", mininterval=0.5)
    index = tracks[["track_id"]].loc[tracks.index.repeat(copies + 1)].reset_index(drop=True)
    index["copy"] = np.tile(np.arange(copies + 1), len(tracks))
    described = {
        "recipe": asdict(recipe),
        "frames_per_second": recipe.frames_per_second,
        "families": list(FAMILIES),
        "sha256": files.sha256(list(index["track_id"]), [key for *_, key in jobs]),
    }
    return _write_store(study, index, found, recipe.frames, recipe.n_mels, described)


def extract_from_store(
    tracks: pd.DataFrame, log_mel: np.ndarray, study: Path, *, clip_seconds, excerpt_seconds
) -> dict:
    """Write the study's feature store from ready log-mel arrays.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks to be used.
    log_mel : np.ndarray, shape (tracks, frames, mels)
        From `corpus.load_arrays`, in the order of `tracks`.
    study : Path
        See `extract`.
    clip_seconds, excerpt_seconds : float
        Duration of a track, and of the excerpts it is cut into.
    """
    frames, mels = log_mel.shape[1:]
    rate = frames / clip_seconds
    length = excerpt_frames(excerpt_seconds, rate)
    index = tracks[["track_id"]].reset_index(drop=True).assign(copy=0)
    described = {
        "recipe": None,
        "frames_per_second": rate,
        "excerpt_seconds": excerpt_seconds,
        "families": [family for family, (_, from_mel) in FAMILIES.items() if from_mel],
        "sha256": files.sha256(
            list(index["track_id"]), list(tracks["md5"]), [clip_seconds, excerpt_seconds]
        ),
    }

    def computed(array):
        image = np.asarray(array, dtype=np.float32)
        families = {"log_mel": image.T, **from_decibels(image.T)}
        return image, summarise(families, length), summary_columns(families)

    found = map(computed, tqdm(log_mel, desc="features", unit="clip", mininterval=0.5))
    return _write_store(study, index, found, frames, mels, described)


def _draw(md5, copy, seed):
    """Seed of the augmentation of one copy: its own, whatever else there is."""
    return int(files.sha256(md5, [copy, seed])[:8], 16)


def _key(md5, recipe, copy, seed):
    sources = ("audio", "features", "augmentation") if copy else ("audio", "features")
    return files.sha256(md5, asdict(recipe), copy and [copy, seed], files.source_hash(*sources))


def _cached(path, recipe, copy, draw, key):
    """Log-mel and summary of one clip, from the cache or computed and put there."""
    place = files.cache_folder() / "features" / key[:2] / f"{key}.npz"
    try:
        with np.load(place, allow_pickle=False) as stored:
            return stored["log_mel"], stored["summary"], list(stored["columns"])
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, BadZipFile, TokenError):
        pass  # not there, or not whole: computed below
    y, sr = audio.load_clip(path, seconds=recipe.clip_seconds, sr=recipe.sr)
    if copy:
        y = augmentation.augment(y, sr, seed=draw)
    families = frame_features(y, recipe)
    length = excerpt_frames(recipe.excerpt_seconds, recipe.frames_per_second)
    summary, columns = summarise(families, length), summary_columns(families)
    image = np.ascontiguousarray(families["log_mel"].T)
    with files.written_whole(place) as temporary:
        np.savez(temporary, log_mel=image, summary=summary, columns=np.array(columns))
    return image, summary, columns


def _write_store(study, index, found, frames, mels, described):
    """Write the arrays as they come, so that memory does not grow with the number of tracks."""
    summaries, lengths = [], []
    with files.written_whole(study / "features.npy") as temporary:
        shape = (len(index), frames, mels)
        store = np.lib.format.open_memmap(temporary, "w+", dtype=np.float32, shape=shape)
        for row, (image, summary, columns) in enumerate(found):  # noqa: B007
            image = image[:frames]
            store[row, : len(image)] = image
            lengths.append(len(image))
            summaries.append(summary)
        store.flush()
        del store
    files.write_table(study / "features.parquet", index.assign(frames=lengths))
    statistics = pd.DataFrame(np.concatenate(summaries), columns=columns)
    excerpts = _excerpt_table(index, [len(summary) for summary in summaries])
    files.write_table(study / "summary.parquet", pd.concat([excerpts, statistics], axis=1))
    files.write_json(study / "features.json", described)
    return described


def _excerpt_table(index, counts):
    """Table with one row per excerpt: track_id, copy, excerpt."""
    table = index.loc[index.index.repeat(counts), ["track_id", "copy"]].reset_index(drop=True)
    return table.assign(excerpt=np.concatenate([np.arange(count) for count in counts]))


def load_excerpts(study: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Cut the store's tracks into the excerpts that models learn from.

    Returns
    -------
    excerpts : np.ndarray, shape (excerpts, frames, mels), float32
    table : pd.DataFrame
        track_id, copy, excerpt: what each of them is.
    """
    described = files.read_json(study / "features.json")
    recipe = described["recipe"] or described
    length = excerpt_frames(recipe["excerpt_seconds"], described["frames_per_second"])
    store = np.load(study / "features.npy", mmap_mode="r")
    index = pd.read_parquet(study / "features.parquet")
    counts = (index["frames"] // length).to_numpy()
    excerpts = np.concatenate(
        [
            track[: count * length].reshape(count, length, track.shape[1])
            for track, count in zip(store, counts, strict=True)
        ]
    )
    return excerpts, _excerpt_table(index, counts)
