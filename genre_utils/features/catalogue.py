"""What the families of features are called, how they are grouped, and their units."""

#: Families of each group.
GROUPS = {
    "spectral": ["stft_magnitude", "log_mel", "mfcc", "mfcc_delta", "mfcc_delta2"],
    "time domain": ["zero_crossing_rate", "short_time_energy", "autocorrelation_peak",
                    "autocorrelation_period"],
    "frequency domain": ["spectral_centroid", "spectral_bandwidth", "spectral_rolloff",
                         "spectral_contrast", "spectral_flatness", "spectral_mean",
                         "spectral_variance"],
    "chroma": ["chroma", "chroma_cqt", "tonnetz"],
    "rhythm": ["onset_strength", "tempogram", "tempo", "beat_regularity"],
    "harmonic and percussive": ["harmonic_share"],
    "emotional and semantic": ["key_clarity", "mode", "dynamics", "arousal"],
    "modulation": ["modulation"],
}  # fmt: skip
#: Units of their values, in the order in which families are computed.
UNITS = {
    "stft_magnitude": "STFT units", "log_mel": "share of 80 dB", "mfcc": "dB",
    "mfcc_delta": "dB per frame", "mfcc_delta2": "dB per frame²", "zero_crossing_rate": "share",
    "short_time_energy": "full scale²", "autocorrelation_peak": "correlation",
    "autocorrelation_period": "ms", "spectral_centroid": "Hz", "spectral_bandwidth": "Hz",
    "spectral_rolloff": "Hz", "spectral_contrast": "dB of magnitude",
    "spectral_flatness": "ratio", "spectral_mean": "STFT units",
    "spectral_variance": "STFT units²", "chroma": "share of the strongest",
    "chroma_cqt": "share of the strongest", "tonnetz": "coordinate", "onset_strength": "dB",
    "tempogram": "correlation", "tempo": "BPM", "beat_regularity": "correlation",
    "harmonic_share": "share", "key_clarity": "correlation", "mode": "difference of correlations",
    "modulation": "of the log-mel range", "dynamics": "dB", "arousal": "no unit",
}  # fmt: skip


def family_of(column: str) -> str:
    """Family of a summary column.

    Parameters
    ----------
    column : str
        Family, number and statistic.

    Returns
    -------
    str
        A key of `UNITS`.

    Examples
    --------
    >>> family_of("spectral_contrast_01_mean")
    'spectral_contrast'
    """
    return column.rsplit("_", 2)[0]
