"""What families of features and their statistics are called, their groups, and their units."""

from genre_utils.features import audio, modulation, spectrum

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
#: Names for readers of families whose own will not do.
NAMES = {
    "stft_magnitude": "STFT magnitude", "log_mel": "log-mel spectrum", "mfcc": "MFCC",
    "mfcc_delta": "MFCC slope", "mfcc_delta2": "MFCC curvature",
    "zero_crossing_rate": "zero-crossing rate", "short_time_energy": "short-time energy",
    "spectral_rolloff": "spectral roll-off", "chroma_cqt": "constant-Q chroma",
}  # fmt: skip
PITCHES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
CIRCLES = ("fifths", "minor thirds", "major thirds")  # of the tonnetz, two coordinates each


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


def family_name(family: str) -> str:
    """Name of a family for readers.

    Parameters
    ----------
    family : str
        A key of `UNITS`, or what else stands among families.

    Returns
    -------
    str
        Such as ``MFCC slope`` for ``mfcc_delta``.
    """
    return NAMES.get(family, family.replace("_", " "))


def labels(columns, sr: float = audio.SAMPLE_RATE) -> dict[str, str]:
    """Name statistics for readers: bands and rates in Hz, scales in cycles per octave.

    Parameters
    ----------
    columns : sequence of str
        All columns of statistics that a summary has, in its order.
    sr : float
        Sample rate (Hz) of the music; 0 where it is not known, and the mel axis has no hertz.

    Returns
    -------
    dict of str to str
        Name of each, without a number where a family has one dimension.

    Examples
    --------
    >>> labels(["mfcc_02_std", "tempo_01_mean"])
    {'mfcc_02_std': 'MFCC 2, SD', 'tempo_01_mean': 'tempo, mean'}
    >>> labels(["modulation_123_mean"])["modulation_123_mean"]
    'modulation 1.6 Hz, 0.8 cycles per octave falling, 830–1,300 Hz, mean'
    """
    parts = {column: column.rsplit("_", 2) for column in columns}
    count = {family: int(number) for family, number, _ in parts.values()}  # of the last column
    said = {"mean": "mean", "std": "SD"}
    return {
        column: f"{_dimension(family, int(number), count[family], sr)}, {said[statistic]}"
        for column, (family, number, statistic) in parts.items()
    }


def _dimension(family, number, count, sr):
    """Name of one of the `count` dimensions of a family, the first of which is 1."""
    name, k = family_name(family), number - 1
    if count == 1:
        return name
    if family == "modulation":
        which, region = divmod(k, modulation.REGIONS)
        return f"{name} {_pattern(which, region, sr)}"
    if family == "log_mel" and sr:
        return f"log-mel band at {_rounded(_hertz(count + 2, sr)[number], 3)} Hz"
    if family == "spectral_contrast":
        low, high = spectrum.CONTRAST_EDGES[k : k + 2]
        return f"{name} {_rounded(low)}–{_rounded(min(high, audio.SAMPLE_RATE / 2))} Hz"
    if family.startswith("chroma"):
        return f"{name} of {PITCHES[k]}"
    if family == "tonnetz":
        return f"{name}, circle of {CIRCLES[k // 2]}, {('sine', 'cosine')[k % 2]}"
    return f"{name} {number}"


def _pattern(which, region, sr):
    """What a filter of `modulation` answers to, and in which region of the mel axis."""
    rate, scale = modulation.FILTERS[which]
    where, unit, cycles = f"part {region + 1} of the mel axis", "over it", f"{abs(scale):.0f}"
    if sr:
        low, middle, high = _hertz(2 * modulation.REGIONS + 1, sr)[2 * region : 2 * region + 3]
        where, unit = f"{_rounded(low)}–{_rounded(high)} Hz", "per octave"
        cycles = f"{cycles_per_octave(abs(scale), sr, middle):.1f}"
    way = " falling" if scale > 0 else " rising"
    pitch = f"{cycles} cycles {unit}{way if rate else ''}" if scale else "all pitches at once"
    return f"{f'{rate:g} Hz' if rate else 'steady'}, {pitch}, {where}"


def _rounded(hertz, digits=2):
    return f"{float(f'{hertz:.{digits}g}'):,.0f}"


def _hertz(count, sr):
    """Frequencies at equal steps of the mel axis, from 0 to half the sample rate."""
    import librosa  # slow to import

    return librosa.mel_frequencies(count, fmax=sr / 2)


def cycles_per_octave(cycles: float, sr: float, hertz: float) -> float:
    """Convert cycles over all mel bands to cycles in the octave around a frequency."""
    import librosa  # slow to import

    low, high, whole = librosa.hz_to_mel([hertz / 2**0.5, hertz * 2**0.5, sr / 2])
    return cycles * (high - low) / whole
