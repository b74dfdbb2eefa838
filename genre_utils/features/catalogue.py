"""TODO features.catalogue."""

from typing import NamedTuple


class Family(NamedTuple):
    """What a family of features is.

    Attributes
    ----------
    group : str
        What kind of description it belongs to.
    meaning, unit, source : str
        In words; the unit of its values; who described it.
    reference : str
        The expression, mostly one call of librosa, that gives the same values (see `reference`).
    from_log_mel : bool
        Whether a log-mel spectrogram is enough to compute it.
    summarised : bool
        Whether the classical models get its mean and deviation; false for images too wide for it.
    """

    group: str
    meaning: str
    unit: str
    source: str
    reference: str
    from_log_mel: bool = False
    summarised: bool = True


FAMILIES = {
    "stft_magnitude": Family(
        "spectral",
        "strength of each frequency in each frame; a sine of full scale reaches 512",
        "STFT units",
        "Allen and Rabiner 1977",
        "np.abs(librosa.stft(y, **frames))",
        summarised=False,
    ),
    "log_mel": Family(
        "spectral",
        "power in bands spaced as the ear spaces them, from 80 dB below the clip's loudest point",
        "share of 80 dB",
        "Stevens, Volkmann and Newman 1937",
        "librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr, n_mels=n_mels, **frames), "
        "ref=np.max, top_db=80) / 80 + 1",
        from_log_mel=True,
    ),
    "mfcc": Family(
        "spectral",
        "shape of the log-mel spectrum, from coarse to fine (its cosine transform)",
        "dB",
        "Davis and Mermelstein 1980",
        "librosa.feature.mfcc(S=80 * (log_mel - 1), n_mfcc=n_mfcc)",
        from_log_mel=True,
    ),
    "mfcc_delta": Family(
        "spectral",
        "slope of the MFCCs over 9 frames",
        "dB per frame",
        "Furui 1986",
        "librosa.feature.delta(mfcc, width=9)",
        from_log_mel=True,
    ),
    "mfcc_delta2": Family(
        "spectral",
        "curvature of the MFCCs over 9 frames",
        "dB per frame²",
        "Furui 1986",
        "librosa.feature.delta(mfcc, width=9, order=2)",
        from_log_mel=True,
    ),
    "zero_crossing_rate": Family(
        "time domain",
        "share of samples whose sign differs from the one before",
        "share",
        "Kedem 1986",
        "librosa.feature.zero_crossing_rate(y, frame_length=n_fft, hop_length=hop_length)",
    ),
    "short_time_energy": Family(
        "time domain",
        "mean square of the samples",
        "full scale²",
        "Rabiner and Schafer 1978",
        "librosa.feature.rms(y=y, frame_length=n_fft, hop_length=hop_length) ** 2",
    ),
    "autocorrelation_peak": Family(
        "time domain",
        "highest autocorrelation at periods of 2 to 25 ms: how strongly a frame repeats itself",
        "correlation",
        "Rabiner 1977",
        "autocorrelation[:, shortest:].max(axis=1)",
    ),
    "autocorrelation_period": Family(
        "time domain",
        "the period at which that highest autocorrelation lies",
        "ms",
        "Rabiner 1977",
        "1000 / sr * (shortest + autocorrelation[:, shortest:].argmax(axis=1))",
    ),
    "spectral_centroid": Family(
        "frequency domain",
        "where the magnitude has its centre of gravity: brightness",
        "Hz",
        "Grey and Gordon 1978",
        "librosa.feature.spectral_centroid(y=y, sr=sr, **frames)",
    ),
    "spectral_bandwidth": Family(
        "frequency domain",
        "how far the magnitude spreads around its centroid",
        "Hz",
        "Klapuri and Davy 2006",
        "librosa.feature.spectral_bandwidth(y=y, sr=sr, **frames)",
    ),
    "spectral_rolloff": Family(
        "frequency domain",
        "frequency below which 85 % of the magnitude lies",
        "Hz",
        "Tzanetakis and Cook 2002",
        "librosa.feature.spectral_rolloff(y=y, sr=sr, **frames)",
    ),
    "spectral_contrast": Family(
        "frequency domain",
        "how far peaks rise above valleys, in seven bands, mostly octaves",
        "dB of magnitude",
        "Jiang et al. 2002",
        "librosa.feature.spectral_contrast(y=y, sr=sr, **frames)",
    ),
    "spectral_flatness": Family(
        "frequency domain",
        "geometric over arithmetic mean of the power: 1 is noise, 0 is tones",
        "ratio",
        "Dubnov 2004",
        "librosa.feature.spectral_flatness(y=y, **frames)",
    ),
    "spectral_mean": Family(
        "frequency domain",
        "mean magnitude over all frequencies",
        "STFT units",
        "Guo 2024",
        "np.abs(librosa.stft(y, **frames)).mean(axis=0)",
    ),
    "spectral_variance": Family(
        "frequency domain",
        "variance of the magnitude over all frequencies",
        "STFT units²",
        "Guo 2024",
        "np.abs(librosa.stft(y, **frames)).var(axis=0)",
    ),
    "chroma": Family(
        "chroma",
        "power of each pitch class from the STFT, over the strongest one",
        "share of the strongest",
        "Fujishima 1999",
        "librosa.feature.chroma_stft(y=y, sr=sr, tuning=0.0, **frames)",
    ),
    "chroma_cqt": Family(
        "chroma",
        "magnitude of each pitch class from the constant-Q transform, over the strongest one",
        "share of the strongest",
        "Brown 1991; Schörkhuber and Klapuri 2010",
        "librosa.feature.chroma_cqt(y=y, sr=sr, hop_length=hop_length, tuning=0.0)",
    ),
    "tonnetz": Family(
        "chroma",
        "place of the chroma on circles of fifths, minor thirds and major thirds",
        "coordinate",
        "Harte, Sandler and Gasser 2006",
        "librosa.feature.tonnetz(chroma=chroma)",
    ),
    "onset_strength": Family(
        "rhythm",
        "mean rise of the log-mel spectrum from one frame to the next",
        "dB",
        "Böck and Widmer 2013",
        "librosa.onset.onset_strength(S=80 * log_mel, sr=sr, **frames)",
        from_log_mel=True,
    ),
    "tempogram": Family(
        "rhythm",
        "autocorrelation of the onset strength over 8 s: periodicities of the beat",
        "correlation",
        "Grosche, Müller and Kurth 2010",
        "librosa.feature.tempogram(onset_envelope=onset_strength[0], sr=sr, "
        "hop_length=hop_length, win_length=tempo_frames)",
        summarised=False,
    ),
    "tempo": Family(
        "rhythm",
        "the likeliest tempo of the 8 s around a frame",
        "BPM",
        "Ellis 2007",
        "librosa.feature.tempo(tg=tempogram, sr=sr, hop_length=hop_length, aggregate=None)",
    ),
    "beat_regularity": Family(
        "rhythm",
        "rise of the tempogram at that tempo over its mean from 30 to 320 beats per minute",
        "correlation",
        "Lartillot et al. 2008 (pulse clarity)",
        "tempogram[tempo_lag, np.arange(tempo.size)] - tempogram[lag_range].mean(axis=0)",
    ),
    "harmonic_share": Family(
        "harmonic and percussive",
        "share of the energy in sustained sounds, the rest being strokes",
        "share",
        "FitzGerald 2010",
        "(harmonic**2).sum(axis=0) / ((harmonic**2).sum(axis=0) + (percussive**2).sum(axis=0))",
    ),
    "key_clarity": Family(
        "emotional and semantic",
        "correlation of 3 s of chroma with the nearest of the 24 key profiles",
        "correlation",
        "Krumhansl 1990",
        "key_correlation.max(axis=(0, 1))",
    ),
    "mode": Family(
        "emotional and semantic",
        "correlation with the nearest major key less that with the nearest minor key",
        "difference of correlations",
        "Krumhansl 1990",
        "key_correlation[0].max(axis=0) - key_correlation[1].max(axis=0)",
    ),
    "modulation": Family(
        "modulation",
        "strength of patterns in the log-mel spectrogram, by how fast they come and go (0.4 to 5.5 "
        "Hz), how fine they are in pitch, whether they rise or fall, and where on the mel axis",
        "of the log-mel range",
        "Chi, Ru and Shamma 2005; Andén and Mallat 2014",
        "modulation_of(log_mel, sr / hop_length)",
        from_log_mel=True,
    ),
    "dynamics": Family(
        "emotional and semantic",
        "level of a frame over that of the whole clip; its deviation is the dynamic range",
        "dB",
        "Lartillot and Toiviainen 2007",
        "10 * np.log10(np.maximum(loudness, 1e-8))",
    ),
    "arousal": Family(
        "emotional and semantic",
        "loudness (Stevens's power law, over the clip's) times brightness: an energy-like "
        "measure, not validated against listeners",
        "no unit",
        "Stevens 1957; Gabrielsson and Lindström 2010",
        "loudness**0.3 * librosa.feature.spectral_centroid(y=y, sr=sr, **frames) / (sr / 2)",
    ),
}

#: Families of each group.
GROUPS = {
    group: [name for name, family in FAMILIES.items() if family.group == group]
    for group in dict.fromkeys(family.group for family in FAMILIES.values())
}


def family_of(column: str) -> str:
    """Family of a summary column: ``mfcc_01_mean`` -> ``mfcc``."""
    return column.rsplit("_", 2)[0]
