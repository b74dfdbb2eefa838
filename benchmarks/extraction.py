"""Feature extraction: one shared pass against librosa, one function at a time, on one core.

    python benchmarks/extraction.py --json benchmarks/extraction.json

Both sides compute the same values: tests/test_features.py compares them with the expressions of
`features.FAMILIES` that are timed here. Times are medians over several rounds in which the two
sides take turns; what counts is their ratio. Without
files, one composed clip of 30 s in each genre is used.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before NumPy starts its threads

import librosa
import numpy as np
import scipy.fft
import scipy.ndimage

from genre_utils import audio, corpus, evaluation, features, files

COSTLY = ("harmonic_share", "chroma_cqt", "modulation")
#: Families that share a call of librosa with one before them, or that librosa does not have.
SECOND = ("mfcc_delta2", "autocorrelation_period", "spectral_mean", "spectral_variance")
SECOND += ("beat_regularity", "key_clarity", "mode", "dynamics", "arousal", "modulation")

#: What the expressions of `features.FAMILIES` refer to beside each other, `y` and the recipe.
NAMES = {
    "frames": "dict(n_fft=n_fft, hop_length=hop_length)",
    "shortest": "int(0.002 * sr)",
    "padded": "np.pad(y, n_fft // 2)",
    "framed": "librosa.util.frame(padded, frame_length=n_fft, hop_length=hop_length)",
    "lags": "librosa.autocorrelate(framed, axis=0, max_size=int(0.025 * sr) + 1).T",
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


def key_correlation_of(chroma, length):
    """Pearson correlation of smoothed chroma with each key, shape (modes, tonics, frames)."""
    smooth = scipy.ndimage.uniform_filter1d(chroma, length, axis=1, mode="nearest")
    keys = [np.roll(mode, tonic) for mode in features.KRUMHANSL_KESSLER for tonic in range(12)]
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
    """Values of the expressions of `features.FAMILIES`, each computed when it is asked for."""

    def __init__(self, y: np.ndarray, recipe: features.Recipe):
        super().__init__(
            np=np, librosa=librosa, key_correlation_of=key_correlation_of,
            modulation_of=modulation_of, y=y, sr=recipe.sr, n_fft=recipe.n_fft,
            hop_length=recipe.hop_length, n_mels=recipe.n_mels, n_mfcc=recipe.n_mfcc,
        )  # fmt: skip

    def __missing__(self, name):
        if name in features.FAMILIES:
            self[name] = np.atleast_2d(eval(features.FAMILIES[name].reference, {}, self))
        elif name in NAMES:
            self[name] = eval(NAMES[name], {}, self)
        else:
            raise KeyError(name)  # a builtin such as max or round
        return self[name]


def measure(clips, rounds):
    """Median seconds per clip of each side, and of librosa for each family alone."""
    recipe = features.Recipe()
    quick = tuple(name for name in features.FAMILIES if name not in COSTLY)
    sides = {
        "librosa.stft": lambda y: librosa.stft(y, n_fft=2048, hop_length=1024),
        "shared pass": lambda y: features.frame_features(y, recipe, quick),
        **{f"shared pass, with {name}": _with(quick, name, recipe) for name in COSTLY},
        "running medians": _medians,
        **{name: _alone(name, recipe) for name in features.FAMILIES},
    }
    times = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side, compute in sides.items():
            started = time.perf_counter()
            for y in clips:
                compute(y)
            if number:  # the first round compiles and fills caches
                times[side].append((time.perf_counter() - started) / len(clips))
    return {side: statistics.median(seconds) for side, seconds in times.items()}


def _with(quick, name, recipe):
    return lambda y: features.frame_features(y, recipe, (*quick, name))


def _alone(name, recipe):
    return lambda y: OneAtATime(y, recipe)[name]


def _medians(y):
    magnitude = np.abs(librosa.stft(y, n_fft=2048, hop_length=1024))
    features._running_median(magnitude)
    features._running_median(magnitude.T)


def summary(seconds, clips):
    """What the measurements say: milliseconds per clip, and the ratios that the study claims."""
    shared, stft = seconds["shared pass"], seconds["librosa.stft"]
    quick = [name for name in features.FAMILIES if name not in COSTLY]
    alone = sum(seconds[name] for name in quick)
    once = sum(seconds[name] for name in quick if name not in SECOND)
    more = {f"{name}, shared": seconds[f"shared pass, with {name}"] - shared for name in COSTLY}
    floor = {"harmonic_share, floor": seconds["running medians"] - stft}
    seconds = seconds | {"librosa, each family alone": alone} | more | floor
    return {
        "clips": clips,
        "code": files.source_hash("features"),
        "environment": evaluation.environment() | {"threads": 1},
        "milliseconds": {side: round(1000 * value, 2) for side, value in seconds.items()},
        "librosa_over_shared_pass": round(alone / shared, 1),
        "librosa_calls_once_over_shared_pass": round(once / shared, 1),
        "shared_pass_over_stft": round(shared / stft, 1),
        "everything_over_stft": round((shared + sum(more.values())) / stft, 1),
        "costly": [name for pair in zip(COSTLY, more, strict=True) for name in pair],
    }


def composed_clips():
    """One composed clip of 30 s in each genre."""
    settings = {"artists_per_genre": 3, "tracks_per_artist": 1, "seconds": 30.0, "seed": 0}
    folder = corpus.compose([], **settings)
    paths = [min(genre.glob("*.flac")) for genre in sorted(folder.iterdir()) if genre.is_dir()]
    return [audio.load_clip(path, seconds=30.0)[0] for path in paths]


def main():
    """Measure, print what came out, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="sound files (default: composed)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="file to write the measurements to")
    options = parser.parse_args()
    if options.files:
        clips = [audio.load_clip(path, seconds=30.0)[0] for path in options.files]
        described = f"{len(clips)} files, at most 30 s of each"
    else:
        clips = composed_clips()
        described = f"{len(clips)} composed clips of 30 s"
    result = summary(measure(clips, options.rounds), described)
    print(json.dumps(result, indent=2))
    if options.json:
        files.write_json(options.json, result)


if __name__ == "__main__":
    main()
