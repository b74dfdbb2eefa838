"""Changes of a recording as a recogniser may meet it: noisy, narrow, coded, squeezed, cut."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genre_utils.features import audio, decoding, extraction, recipes, summarising
from genre_utils.workspace import files

CLEAN = "as it is"
ORDER = 8  # of Butterworth filters


class Change(NamedTuple):
    """One change of a recording: what it is about, how it is called, and how strong it is."""

    question: str
    label: str
    kind: str
    value: float = 0.0


NOISE, BAND, CODEC, LEVEL = "white noise", "bandwidth", "lossy coding", "level"
TEMPO, PITCH, LENGTH = "tempo", "pitch", "length of the clip"
CHANGES = (
    *(Change(NOISE, f"noise at {snr} dB", "noise", snr) for snr in (30, 20, 10, 0)),
    Change(BAND, "below 8 kHz", "low-pass", 8000.0),
    Change(BAND, "telephone, 300 to 3400 Hz", "telephone"),
    *(Change(CODEC, f"MP3, {rate} kbit/s", "mp3", rate) for rate in (32, 16)),
    *(Change(CODEC, f"Opus, {rate} kbit/s", "opus", rate) for rate in (24, 12)),
    Change(LEVEL, "20 dB quieter", "gain", -20.0),
    Change(LEVEL, "6 dB over full scale, clipped", "clipped", 6.0),
    Change(TEMPO, "10 % slower", "stretch", 0.9),
    Change(TEMPO, "10 % faster", "stretch", 1.1),
    *(Change(PITCH, f"{steps:+d} semitone{'s' * (abs(steps) > 1)}", "pitch", steps)
      for steps in (-2, -1, 1, 2)),
    *(Change(LENGTH, f"clip of {seconds} s", "length", seconds) for seconds in (1, 3, 6, 15, 30)),
)  # fmt: skip


def changed(y: np.ndarray, sr: int, change: Change, *, seed: int) -> np.ndarray:
    """A recording, (n,) float32, after a change of it; filters run both ways and delay nothing.

    Noise is white, so many dB below the mean power; of a clipped recording the loudest sample is so
    many dB over full scale; a stretch leaves the pitch as it is; a length keeps the middle seconds.
    """
    import audiomentations

    kind, value = change.kind, change.value
    if kind == "noise":
        noise = np.random.default_rng(seed).normal(size=len(y))
        y = y + noise * np.sqrt(np.mean(np.square(y, dtype=float)) / 10 ** (value / 10))
    elif kind == "low-pass":
        y = _filtered(y, sr, value, "lowpass")
    elif kind == "telephone":
        y = _filtered(y, sr, (300.0, 3400.0), "bandpass")
    elif kind in ("mp3", "opus"):
        y = _coded(y, sr, kind, value)
    elif kind == "gain":
        y = y * 10 ** (value / 20)
    elif kind == "clipped":
        y = np.clip(y / max(abs(y).max(), decoding.SILENCE) * 10 ** (value / 20), -1.0, 1.0)
    elif kind == "stretch":
        stretch = audiomentations.TimeStretch(value, value, leave_length_unchanged=False, p=1.0)
        y = stretch(samples=y, sample_rate=sr)
    elif kind == "pitch":
        y = audiomentations.PitchShift(value, value, p=1.0)(samples=y, sample_rate=sr)
    else:
        y = _middle(y, round(value * sr))
    return np.ascontiguousarray(y, dtype=np.float32)


#: Noises of recordings beside white noise, which no change above has.
WHITE, HUM, CRACKLE, ROOM = "white noise", "hum", "crackle", "room tone"
NOISES = (WHITE, HUM, CRACKLE, ROOM)
MAINS, HARMONICS = 50.0, 10  # Hz, and how many of hum, the lowest among them
CLICKS_A_SECOND, CLICK_SECONDS = 20.0, 0.0005  # on average, of crackle; to die down to 1/e
PINK_ABOVE = 20.0  # Hz; below, room tone is flat


def noisy(y: np.ndarray, sr: int, noise: str, snr: float, *, seed: int) -> np.ndarray:
    """A recording, (n,) float32, with one of `NOISES` at a signal-to-noise ratio in dB.

    The ratio is that of the mean powers over the whole clip. Hum is mains hum, a harmonic series
    whose amplitudes fall with its order; crackle is of clicks that are few, short and of very
    different strength, as of vinyl; room tone is pink noise, whose power falls with frequency.
    """
    added = _MAKERS[noise](np.random.default_rng(seed), len(y), sr)
    ratio = np.mean(np.square(y, dtype=float)) / np.mean(np.square(added))
    return (y + added * np.sqrt(ratio / 10 ** (snr / 10))).astype(np.float32)


def _hum(rng, n, sr):
    orders = np.arange(1, HARMONICS + 1)[:, np.newaxis]
    phases = rng.uniform(0, 2 * np.pi, orders.shape)
    return np.sum(np.sin(2 * np.pi * MAINS * orders * np.arange(n) / sr + phases) / orders, axis=0)


def _crackle(rng, n, sr):
    import scipy.signal

    count = 1 + rng.poisson(CLICKS_A_SECOND * n / sr)
    clicks = np.zeros(n)
    np.add.at(clicks, rng.integers(n, size=count), rng.standard_t(3, count))
    return scipy.signal.lfilter([1.0], [1.0, -np.exp(-1 / (CLICK_SECONDS * sr))], clicks)


def _room_tone(rng, n, sr):
    spectrum = np.fft.rfft(rng.normal(size=n))
    return np.fft.irfft(spectrum / np.sqrt(np.fft.rfftfreq(n, 1 / sr).clip(PINK_ABOVE)), n)


_MAKERS = {
    WHITE: lambda rng, n, sr: rng.normal(size=n),
    HUM: _hum,
    CRACKLE: _crackle,
    ROOM: _room_tone,
}


def _filtered(y, sr, edges, kind):
    import scipy.signal

    edges = np.minimum(edges, 0.49 * sr)  # of a low sample rate there is nothing above
    sections = scipy.signal.butter(ORDER, edges, kind, fs=sr, output="sos")
    return scipy.signal.sosfiltfilt(sections, y)


def _coded(y, sr, codec, rate):
    """Encode and decode; libsndfile takes a level from 0 to 1 in place of a bit rate."""
    import librosa
    import soundfile

    if codec == "mp3":  # of mono at up to 24 kHz: 160 to 8 kbit/s
        options = {"format": "MP3", "bitrate_mode": "CONSTANT"}
        native, level = sr, (160 - rate) / (160 - 8)
    else:  # 256 to 6 kbit/s a channel, on average; few sample rates are known to it
        options = {"format": "OGG", "subtype": "OPUS"}
        native, level = 24_000, (256 - rate) / (256 - 6)
    buffer = io.BytesIO()
    sound = librosa.resample(y, orig_sr=sr, target_sr=native).clip(-1.0, 1.0)
    soundfile.write(buffer, sound, native, compression_level=level, **options)
    buffer.seek(0)
    decoded, native = soundfile.read(buffer, dtype="float32")
    return librosa.resample(decoded, orig_sr=native, target_sr=sr)[: len(y)]


def _middle(values, length):
    """So many values from the middle of the first axis, or all of fewer."""
    start = max(0, len(values) - length) // 2
    return values[start : start + length]


def _filled(values, least):
    """Values repeated along the first axis until there are at least so many."""
    return np.resize(values, (max(least, len(values)), *values.shape[1:]))


def described(track_id: str, path: Path, recipe: recipes.Recipe, change: Change, seed: int):
    """Features of a changed recording, as a feature store has them: excerpts, statistics, names."""
    y, sr = audio.load_clip(path, seconds=recipe.clip_seconds, sr=recipe.sr)
    y = changed(y, sr, change, seed=int(files.sha256(track_id, change.label, [seed])[:8], 16))
    y = _filled(y, int(np.ceil(recipe.excerpt_seconds * sr)))
    y = audio.normalise_loudness(y, sr, recipe.loudness)
    found = extraction.frame_features(y, recipe)
    return _cut(found, recipes.excerpt_frames(recipe.excerpt_seconds, recipe.frames_per_second))


def described_samples(y: np.ndarray, recipe: recipes.Recipe):
    """Like `described`, for the samples of a clip, (n,) float32, at the recipe's sample rate."""
    y = _filled(y, int(np.ceil(recipe.excerpt_seconds * recipe.sr)))
    y = audio.normalise_loudness(y, recipe.sr, recipe.loudness)
    found = extraction.frame_features(y, recipe)
    return _cut(found, recipes.excerpt_frames(recipe.excerpt_seconds, recipe.frames_per_second))


def described_image(track_id: str, path: Path, row: int, change: Change, store: dict):
    """Like `described`, for the middle of a ready spectrogram; `store` is its features.json."""
    image, rate = np.load(path, mmap_mode="r")[row], store["frames_per_second"]
    length = recipes.excerpt_frames(store["excerpt_seconds"], rate)
    image = _middle(image, max(1, round(change.value * rate)))
    image = _filled(np.asarray(image, dtype=np.float32), length)
    return _cut(extraction.from_log_mel(image.T, rate), length)


def _cut(found, length):
    """Excerpts, their statistics, and what these are called."""
    image = found["log_mel"].T
    excerpts = image[: len(image) // length * length].reshape(-1, length, image.shape[1])
    return excerpts, summarising.summarise(found, length), summarising.summary_columns(found)
