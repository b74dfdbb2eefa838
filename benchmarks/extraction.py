"""Feature extraction: one shared pass against librosa, one function at a time, on one core.

    python benchmarks/run.py extraction

Both sides compute the same values: tests/features/test_extraction.py compares them with the
expressions that are timed here (`REFERENCES`). Times are CPU seconds on one thread, medians over
several rounds in which the sides take turns; what counts are ratios. librosa is met in three ways:

- for each of the families that it has a function for, that function called on the samples, as its
  documentation shows it (this is what the goal of 8 is about);
- the same families by a user who calls each of librosa's functions once and hands its result to
  those that can take it: one spectrum, one mel spectrogram, one tempogram;
- for every family of the study, also those that are built on librosa's functions here: what it
  costs to compute each by itself.

Without files, one composed clip of 30 s in each genre is used.
"""

import os
from pathlib import Path
from unittest import mock

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before NumPy starts its threads

import librosa
import librosa.core.constantq
import measuring
import numpy as np
import scipy.fft
import scipy.ndimage

from genre_utils.features import audio, extraction, modulation, musical, recipes
from genre_utils.workspace import evidence

#: How librosa's functions are told to take what another has computed.
HANDED = {
    "melspectrogram(y=y, sr=sr, n_mels=n_mels, **frames)": "melspectrogram(S=power, sr=sr, "
    "n_mels=n_mels)",
    "chroma_stft(y=y, sr=sr, tuning=0.0, **frames)": "chroma_stft(S=power, sr=sr, tuning=0.0)",
    "spectral_flatness(y=y, **frames)": "spectral_flatness(S=stft_magnitude)",
    "(y=y, sr=sr, **frames)": "(S=stft_magnitude, sr=sr)",
    "spectral_bandwidth(S=stft_magnitude, sr=sr)": "spectral_bandwidth(S=stft_magnitude, sr=sr, "
    "centroid=spectral_centroid)",
}

#: The expression, mostly one call of librosa, that gives the same values as each family.
REFERENCES = {
    "stft_magnitude": "np.abs(librosa.stft(y, **frames))",
    "log_mel": "librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr, n_mels=n_mels, "
    "**frames), ref=np.max, top_db=80) / 80 + 1",
    "mfcc": "librosa.feature.mfcc(S=80 * (log_mel - 1), n_mfcc=n_mfcc)",
    "mfcc_delta": "librosa.feature.delta(mfcc, width=9)",
    "mfcc_delta2": "librosa.feature.delta(mfcc, width=9, order=2)",
    "zero_crossing_rate": "librosa.feature.zero_crossing_rate(y, frame_length=n_fft, "
    "hop_length=hop_length)",
    "short_time_energy": "librosa.feature.rms(y=y, frame_length=n_fft, hop_length=hop_length) ** 2",
    "autocorrelation_peak": "autocorrelation[:, shortest:].max(axis=1)",
    "autocorrelation_period": "1000 / sr * (shortest + "
    "autocorrelation[:, shortest:].argmax(axis=1))",
    "spectral_centroid": "librosa.feature.spectral_centroid(y=y, sr=sr, **frames)",
    "spectral_bandwidth": "librosa.feature.spectral_bandwidth(y=y, sr=sr, **frames)",
    "spectral_rolloff": "librosa.feature.spectral_rolloff(y=y, sr=sr, **frames)",
    "spectral_contrast": "librosa.feature.spectral_contrast(y=y, sr=sr, **frames)",
    "spectral_flatness": "librosa.feature.spectral_flatness(y=y, **frames)",
    "spectral_mean": "np.abs(librosa.stft(y, **frames)).mean(axis=0)",
    "spectral_variance": "np.abs(librosa.stft(y, **frames)).var(axis=0)",
    "chroma": "librosa.feature.chroma_stft(y=y, sr=sr, tuning=0.0, **frames)",
    "chroma_cqt": "librosa.feature.chroma_cqt(y=y, sr=sr, hop_length=hop_length, tuning=0.0)",
    "tonnetz": "librosa.feature.tonnetz(chroma=chroma)",
    "onset_strength": "librosa.onset.onset_strength(S=80 * log_mel, sr=sr, **frames)",
    "tempogram": "librosa.feature.tempogram(onset_envelope=onset_strength[0], sr=sr, "
    "hop_length=hop_length, win_length=tempo_frames)",
    "tempo": "librosa.feature.tempo(tg=tempogram, sr=sr, hop_length=hop_length, aggregate=None)",
    "beat_regularity": "tempogram[tempo_lag, np.arange(tempo.size)] "
    "- tempogram[lag_range].mean(axis=0)",
    "harmonic_share": "(harmonic**2).sum(axis=0) "
    "/ ((harmonic**2).sum(axis=0) + (percussive**2).sum(axis=0))",
    "key_clarity": "key_correlation.max(axis=(0, 1))",
    "mode": "key_correlation[0].max(axis=0) - key_correlation[1].max(axis=0)",
    "modulation": "modulation_of(log_mel, sr / hop_length)",
    "dynamics": "10 * np.log10(np.maximum(loudness, 1e-8))",
    "arousal": "loudness**0.3 * librosa.feature.spectral_centroid(y=y, sr=sr, **frames) / (sr / 2)",
}

#: What these expressions refer to beside each other, `y` and the recipe.
NAMES = {
    "power": "stft_magnitude**2",
    "frames": "dict(n_fft=n_fft, hop_length=hop_length)",
    "shortest": "min(int(0.002 * sr), n_fft // 2)",
    "padded": "np.pad(y, n_fft // 2)",
    "framed": "librosa.util.frame(padded, frame_length=n_fft, hop_length=hop_length)",
    "longest": "min(int(0.025 * sr), n_fft // 2)",
    "lags": "librosa.autocorrelate(framed, axis=0, max_size=longest + 1).T",
    "autocorrelation": "lags / np.where(lags[:, :1] > 0, lags[:, :1], 1)",
    "tempo_frames": "int(librosa.time_to_frames(8.0, sr=sr, hop_length=hop_length))",
    "tempo_lag": "np.rint(60 * sr / hop_length / tempo[0]).astype(int)",
    "lag_range": "slice(round(60 * sr / hop_length / 320), round(60 * sr / hop_length / 30) + 1)",
    "split": "librosa.decompose.hpss(stft_magnitude)",
    "harmonic": "split[0]",
    "percussive": "split[1]",
    "loudness": "short_time_energy / max(short_time_energy.mean(), 1e-10)",
    "key_correlation": "key_correlation_of(chroma, round(3 * sr / hop_length))",
}

COSTLY = ("harmonic_share", "chroma_cqt", "modulation")
QUICK = tuple(name for name in REFERENCES if name not in COSTLY)
#: Families that are not a function of librosa but built on some here.
BUILT = ("autocorrelation_period", "spectral_mean", "spectral_variance", "beat_regularity")
BUILT += ("key_clarity", "mode", "dynamics", "arousal")
LIBROSA = tuple(name for name in QUICK if name not in BUILT)


def key_correlation_of(chroma, length):
    """Pearson correlation of smoothed chroma with each key, shape (modes, tonics, frames)."""
    smooth = scipy.ndimage.uniform_filter1d(chroma, length, axis=1, mode="nearest")
    keys = [np.roll(mode, tonic) for mode in musical.KRUMHANSL_KESSLER for tonic in range(12)]
    with np.errstate(invalid="ignore"):  # a silent frame has no correlation
        values = np.corrcoef(np.array(keys), smooth.T)[: len(keys), len(keys) :]
    return np.nan_to_num(values).reshape(2, 12, -1)


def modulation_of(log_mel, frames_per_second):
    """Magnitude of 2-D Gabor filters in eight regions, filter by filter, by circular convolution.

    Written for frame rates of 11 to 33 Hz and a multiple of eight bands.
    """
    step, grain = max(1, round(frames_per_second / 11)), -(-len(log_mel) // 64)
    coarse = np.array([log_mel[i : i + grain].mean(axis=0) for i in range(0, len(log_mel), grain)])
    times = range(0, coarse.shape[1], step)
    coarse = np.array([coarse[:, t : t + step].mean(axis=1) for t in times]).T
    bands, frames = coarse.shape
    padded = np.zeros([scipy.fft.next_fast_len(size) for size in coarse.shape])
    padded[:bands, :frames] = coarse - coarse.mean()
    cycles, hertz = np.meshgrid(*map(np.fft.fftfreq, padded.shape), indexing="ij")
    cycles, hertz = cycles * bands, hertz * frames_per_second / step
    signs = {0: (1,), 4: (1, -1), 8: (1, -1), 16: (1, -1)}
    places = [(r, s * c) for r in (0.4, 0.8, 1.6, 3.2, 5.5) for c in signs for s in signs[c]]
    rows = []
    for rate, scale in [*places, (0, 4), (0, 8), (0, 16)]:
        along = np.exp(-2 * ((hertz - rate) / max(rate, 0.35)) ** 2)
        across = np.exp(-2 * ((cycles - scale) / max(abs(scale), 2)) ** 2)
        out = np.abs(np.fft.ifft2(np.fft.fft2(padded) * along * across))[:bands, :frames]
        rows += [part.mean(axis=0) for part in np.split(out, 8)]
    return np.repeat(rows, step, axis=1)[:, : log_mel.shape[1]]


class OneAtATime(dict):
    """Values of the expressions of `REFERENCES`, each computed when it is asked for.

    If `handed`, librosa's functions are given what another has computed (see `HANDED`).
    """

    def __init__(self, y: np.ndarray, recipe: recipes.Recipe, *, handed: bool = False):
        self.changes = HANDED if handed else {}
        super().__init__(
            np=np, librosa=librosa, key_correlation_of=key_correlation_of,
            modulation_of=modulation_of, y=y, sr=recipe.sr, n_fft=recipe.n_fft,
            hop_length=recipe.hop_length, n_mels=recipe.n_mels, n_mfcc=recipe.n_mfcc,
        )  # fmt: skip

    def __missing__(self, name):
        if name in REFERENCES:
            expression = REFERENCES[name]
            for old, new in self.changes.items():
                expression = expression.replace(old, new)
            self[name] = np.atleast_2d(eval(expression, {}, self))
        elif name in NAMES:
            self[name] = eval(NAMES[name], {}, self)
        else:
            raise KeyError(name)  # a builtin such as max or round
        return self[name]


def sides(recipe: recipes.Recipe) -> dict:
    """Everything that is timed, as functions of a clip."""
    return {
        "librosa.stft": lambda y: librosa.stft(y, n_fft=2048, hop_length=1024),
        "shared pass": lambda y: extraction.frame_features(y, recipe, QUICK),
        **{f"shared pass, with {name}": _with(name, recipe) for name in COSTLY},
        "librosa, results handed on": lambda y: handed_on(y, recipe),
        **{name: _alone(name, recipe) for name in REFERENCES},
    }


def handed_on(y: np.ndarray, recipe: recipes.Recipe) -> dict:
    """The families that librosa has, each of its functions called once."""
    values = OneAtATime(y, recipe, handed=True)
    return {name: values[name] for name in LIBROSA}


def _with(name, recipe):
    return lambda y: extraction.frame_features(y, recipe, (*QUICK, name))


def _alone(name, recipe):
    return lambda y: OneAtATime(y, recipe)[name]


def floors(y: np.ndarray, recipe: recipes.Recipe) -> dict:
    """Of each costly family, the part that cannot be left out, as a function of nothing.

    The medians of every point of the spectrum, along time and along frequency; the Fourier
    transforms of the octaves of librosa's constant-Q transform; those of the filtered pictures.
    """
    magnitude, calls = np.abs(librosa.stft(y, n_fft=2048, hop_length=1024)), []

    def noted(*given, **options):
        calls.append((given, options))
        return librosa.stft(*given, **options)

    with mock.patch.object(librosa.core.constantq, "stft", noted):
        extraction.frame_features(y, recipe, ["chroma_cqt"])
    step = max(1, round(recipe.frames_per_second / modulation.FRAMES))
    shape = map(scipy.fft.next_fast_len, (recipe.n_mels, -(-magnitude.shape[1] // step)))
    pictures = np.ones((len(modulation.FILTERS), *shape), np.complex64)
    return {
        "harmonic_share": lambda: [
            musical._running_median(one) for one in (magnitude, magnitude.T)
        ],
        "chroma_cqt": lambda: [librosa.stft(*given, **options) for given, options in calls],
        "modulation": lambda: scipy.fft.ifft2(pictures),
    }


def measure(clips, rounds: int) -> dict:
    """Median seconds per clip of each side, of librosa for each family alone, and of the floors."""
    recipe = recipes.Recipe()
    timed = {side: _over(clips, compute) for side, compute in sides(recipe).items()}
    least = [floors(y, recipe) for y in clips]
    for name in COSTLY:
        timed[f"{name}, floor"] = _each([one[name] for one in least])
    return {side: took / len(clips) for side, took in measuring.medians(timed, rounds).items()}


def _over(clips, compute):
    return lambda: [compute(y) for y in clips]


def _each(functions):
    return lambda: [function() for function in functions]


def summary(seconds: dict, clips: str) -> dict:
    """What the measurements say: milliseconds per clip, and the ratios that the study claims."""
    shared, stft = seconds["shared pass"], seconds["librosa.stft"]
    more = {f"{name}, shared": seconds[f"shared pass, with {name}"] - shared for name in COSTLY}
    totals = {
        "librosa, each family alone": sum(seconds[name] for name in QUICK),
        "librosa, its functions alone": sum(seconds[name] for name in LIBROSA),
        "everything": shared + sum(more.values()),
        "everything, floor": stft + sum(seconds[f"{name}, floor"] for name in COSTLY),
    }
    seconds = seconds | totals | more
    ratios = {
        "librosa_over_shared_pass": totals["librosa, each family alone"] / shared,
        "librosa_functions_over_shared_pass": totals["librosa, its functions alone"] / shared,
        "librosa_handed_on_over_shared_pass": seconds["librosa, results handed on"] / shared,
        "shared_pass_over_stft": shared / stft,
        "everything_over_stft": totals["everything"] / stft,
        "floor_over_stft": totals["everything, floor"] / stft,
        "everything_over_floor": totals["everything"] / totals["everything, floor"],
    }
    result = {
        "clips": clips,
        "code": evidence.code("features of a clip"),
        "environment": measuring.machine() | {"threads": 1},
        "milliseconds": {side: round(1000 * value, 2) for side, value in seconds.items()},
        **{name: round(value, 1) for name, value in ratios.items()},
        "costly": [name for pair in zip(COSTLY, more, strict=True) for name in pair],
    }
    return result | {"says": told(result), "figures": figures(result)}


def told(result: dict) -> list[str]:
    """Sentences that say what was compared, and what came out."""
    ms = result["milliseconds"]
    each = ", ".join(
        f"{name} {ms[f'{name}, shared'] / ms['librosa.stft']:.1f} (its floor "
        f"{ms[f'{name}, floor'] / ms['librosa.stft']:.1f}, librosa "
        f"{ms[name] / ms['librosa.stft']:.1f})"
        for name in COSTLY
    )
    return [
        f"The {len(LIBROSA)} families that librosa has a function for, without HPSS and CQT: the "
        f"shared pass, which computes {len(QUICK) - len(LIBROSA)} more on the way, is "
        f"{result['librosa_functions_over_shared_pass']} times as fast as librosa's functions, "
        "each called on the samples.",
        f"Against a user who calls each of these functions once and hands its result on to the "
        f"others, it is {result['librosa_handed_on_over_shared_pass']} times as fast.",
        f"All {len(QUICK)} families of the pass, each by itself with librosa's functions: "
        f"{result['librosa_over_shared_pass']} times the cost of the pass. This counts a call as "
        "often as families need it.",
        f"The pass costs {result['shared_pass_over_stft']} times one librosa.stft; with the "
        f"{len(COSTLY)} families that do not fit in, {result['everything_over_stft']} times.",
        f"What these {len(COSTLY)} add, in librosa.stft: {each}. The floor is the running medians "
        "or the Fourier transforms alone, with nothing made of them; chroma_cqt is librosa's own.",
        f"One STFT and these floors are {result['floor_over_stft']} STFTs: all families together "
        f"cost {result['everything_over_floor']} times that.",
    ]


def figures(result: dict) -> dict:
    """Numbers whose history is drawn, with the goals of the study."""
    return {
        "librosa's functions over the shared pass": measuring.figure(
            result["librosa_functions_over_shared_pass"], least=8
        ),
        "librosa with results handed on over the shared pass": measuring.figure(
            result["librosa_handed_on_over_shared_pass"]
        ),
        "every family alone over the shared pass": measuring.figure(
            result["librosa_over_shared_pass"]
        ),
        "shared pass over one librosa.stft": measuring.figure(
            result["shared_pass_over_stft"], most=8
        ),
        "all families over one librosa.stft": measuring.figure(
            result["everything_over_stft"], most=max(8, result["floor_over_stft"])
        ),
        "all families over their floor": measuring.figure(result["everything_over_floor"]),
    }


def main():
    """Measure, print what came out, and write it as JSON if asked to."""
    parser = measuring.parser(__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="sound files (default: composed)")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    paths = options.files
    if not paths:
        genres = {path.parent: path for path in reversed(measuring.composed_paths())}
        paths = sorted(genres.values())
    described = f"{len(paths)} {'files' if options.files else 'composed clips'}, at most 30 s each"
    clips = [audio.load_clip(path, seconds=30.0)[0] for path in paths]
    rounds = 1 if options.quick else options.rounds
    measuring.show(summary(measure(clips, rounds), described), options.json)


if __name__ == "__main__":
    main()
