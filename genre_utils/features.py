"""Features of a clip, computed from one shared spectrum."""

from dataclasses import dataclass

import numpy as np

from genre_utils import audio

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
