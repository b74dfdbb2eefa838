"""All features of a clip, frame by frame; each is an expression of librosa, only faster.

``benchmarks/extraction.py`` gives the expressions, which the tests evaluate one at a time.
"""

import numpy as np

from genre_utils.features import catalogue, mfcc, modulation, musical, spectrum
from genre_utils.features.recipes import TOP_DB, Recipe

ALL = tuple(catalogue.UNITS)
FROM_LOG_MEL = ["log_mel", "mfcc", "mfcc_delta", "mfcc_delta2", "onset_strength", "modulation"]


def frame_features(y: np.ndarray, recipe: Recipe, families=ALL) -> dict:
    """Compute families of features of a clip; its spectrum is computed once and shared.

    Parameters
    ----------
    y : np.ndarray, shape (n,), float32
        Mono samples at ``recipe.sr``.
    recipe : Recipe
        How they are computed.
    families : sequence of str
        Keys of `UNITS`. ``chroma_cqt``, ``harmonic_share`` and ``modulation`` cost most.

    Returns
    -------
    dict of str to np.ndarray, shape (dimensions, frames), float32
        One entry per family asked for.
    """
    import librosa

    computed = spectrum.one_pass(y, recipe)
    decibels = librosa.power_to_db(computed.pop("mel"), ref=np.max, top_db=TOP_DB)
    computed |= mfcc.from_decibels(decibels, recipe.n_mfcc, recipe.n_fft // 2 // recipe.hop_length)
    computed["log_mel"] = decibels / TOP_DB + 1.0
    computed["tonnetz"] = librosa.feature.tonnetz(chroma=computed["chroma"])
    computed |= musical.rhythm(computed["onset_strength"][0], recipe)
    energy, centroid = computed["short_time_energy"], computed["spectral_centroid"]
    computed |= musical.semantic(computed["chroma"], energy, centroid, recipe)
    if "harmonic_share" in families:
        computed["harmonic_share"] = musical.harmonic_share(computed["stft_magnitude"])
    if "chroma_cqt" in families:
        sr, hop = recipe.sr, recipe.hop_length
        computed["chroma_cqt"] = librosa.feature.chroma_cqt(y=y, sr=sr, hop_length=hop, tuning=0.0)
    if "modulation" in families:
        computed["modulation"] = modulation.strength(computed["log_mel"], recipe.frames_per_second)
    return {name: np.atleast_2d(computed[name]).astype(np.float32, copy=False) for name in families}


def from_log_mel(log_mel: np.ndarray, frames_per_second: float) -> dict[str, np.ndarray]:
    """Compute the families of features that follow from a log-mel spectrogram alone.

    Parameters
    ----------
    log_mel : np.ndarray, shape (mels, frames), float32
        Mel-band power in decibels, or any linear function of it.
    frames_per_second : float
        Frame rate in Hz.

    Returns
    -------
    dict of str to np.ndarray, shape (dimensions, frames)
        One entry per family, the spectrogram itself (``log_mel``) first.
    """
    found = {"log_mel": log_mel} | mfcc.from_decibels(log_mel)
    return found | {"modulation": modulation.strength(log_mel, frames_per_second)}
