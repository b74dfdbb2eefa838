"""From a score to a recording: sampled instruments, and the artist's room, desk and tape."""

import importlib.util
from pathlib import Path

import numpy as np
from scipy import fft, signal

from genre_utils.data.composer import artists

SAMPLE_RATE = 22_050
DRUM_CHANNEL = 9
MISSING_SYNTH = (
    "The composed corpus is rendered with tinysoundfont, which is not installed. Install it with\n"
    "    pip install --no-deps -r requirements-nodeps.txt"
)


def soundfont_path():
    """Path of the soundfont that pretty_midi ships."""
    spec = importlib.util.find_spec("pretty_midi")  # which is slow to import
    if spec is None or spec.origin is None:
        raise ImportError("pretty_midi is not installed: pip install -r requirements.txt")
    return Path(spec.origin).parent / "TimGM6mb.sf2"


def load_synth():
    """Import tinysoundfont, or say how to install it."""
    try:
        import tinysoundfont
    except ImportError as error:
        raise ModuleNotFoundError(MISSING_SYNTH, name="tinysoundfont") from error
    return tinysoundfont


def events_of(instrument):
    """Timed synthesiser calls of an instrument: (seconds, order, method, arguments)."""
    on = [(n.start, 1, "noteon", (n.pitch, n.velocity)) for n in instrument.notes]
    off = [(n.end, 0, "noteoff", (n.pitch,)) for n in instrument.notes]
    return sorted(on + off)


def render_stem(instrument, seconds, sample_rate):
    """Play one instrument alone, to the sample."""
    synth = load_synth().Synth(gain=-6, samplerate=sample_rate)
    font = synth.sfload(str(soundfont_path()))
    channel, bank = (DRUM_CHANNEL, 128) if instrument.is_drum else (0, 0)
    synth.program_select(channel, font, bank, instrument.program, instrument.is_drum)
    total = round(seconds * sample_rate)
    stereo = np.zeros(total * 2, dtype=np.float32)
    raw, done = stereo.data.cast("B"), 0
    for time, _, method, arguments in [*events_of(instrument), (seconds, 2, "noteoff", (0,))]:
        due = min(total, round(time * sample_rate))
        if due > done:
            synth.generate_simple(due - done, buffer=raw[done * 8 : due * 8])
            done = due
        getattr(synth, method)(channel, *arguments)
    return stereo.reshape(-1, 2).mean(axis=1)


def loudness(y, sample_rate):
    """Root mean square without the lowest octaves, where there is sound at all."""
    audible = signal.lfilter(*signal.butter(1, 150, "highpass", fs=sample_rate), y)
    frames = audible[: len(y) // 1024 * 1024].reshape(-1, 1024)
    power = np.mean(frames**2, axis=1)
    return np.sqrt(np.mean(power[power >= 1e-3 * power.max()]) + 1e-18)


def render(midi, seconds=30.0):
    """Play a piece on the soundfont, dry, mono and of any level: (y, sample_rate)."""
    y = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)
    for instrument in midi.instruments:
        stem = render_stem(instrument, seconds, SAMPLE_RATE)
        # the soundfont's instruments differ by 30 dB: made equal before their volume is applied
        gain = (instrument.control_changes[0].value / 100) ** 2
        y += (0.1 * gain / loudness(stem, SAMPLE_RATE)).astype(np.float32) * stem
    return y, SAMPLE_RATE


def equalise(y, sample_rate, mix):
    """Tilt, bells, low cut and bandwidth in one pass through the spectrum."""
    size = fft.next_fast_len(len(y) + sample_rate // 4, real=True)
    hz = np.maximum(fft.rfftfreq(size, 1 / sample_rate), 1.0)
    octaves = np.clip(np.log2(hz / 1000), -4, 4)
    decibels = mix.tilt * octaves
    for centre, gain in mix.bells:
        decibels += gain * np.exp(-0.5 * np.log2(hz / centre) ** 2 / 0.5**2)
    curve = 10 ** (decibels / 20)
    curve /= np.sqrt(1 + (hz / mix.bandwidth) ** 12) * np.sqrt(1 + (mix.low_cut / hz) ** 4)
    return fft.irfft(fft.rfft(y, size) * curve, size)[: len(y)].astype(np.float32)


def add_room(y, sample_rate, mix, rng):
    """Add a room: decaying noise that loses its highs first."""
    length = int(mix.room * sample_rate)
    time = np.arange(length) / sample_rate
    impulse = rng.standard_normal(length) * np.exp(-6.9 * time / mix.room)
    impulse = signal.lfilter([0.35], [1, -0.65], impulse)
    impulse[: int(0.012 * sample_rate)] = 0
    impulse /= np.sqrt(np.sum(impulse**2))
    tail = signal.oaconvolve(y, impulse.astype(np.float32))[: len(y)]
    return y * (1 - mix.wet) + tail * mix.wet


def compress(y, sample_rate, drive):
    """Level the loud and the quiet, then saturate softly."""
    smooth = np.exp(-1 / (0.05 * sample_rate))
    power = signal.lfilter([1 - smooth], [1, -smooth], y.astype(np.float64) ** 2)
    level = np.sqrt(power) + 0.02
    levelled = y / level**drive / np.mean(level ** (1 - drive)) * 0.25
    return np.tanh(levelled * (1 + drive))


def noise(length, colour, rng):
    """Noise of unit power between white (0) and pink (1)."""
    size = fft.next_fast_len(length, real=True)
    spectrum = fft.rfft(rng.standard_normal(size))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (colour / 2)
    hiss = fft.irfft(spectrum, size)[:length]
    return hiss / np.std(hiss)


def vary_mix(mix, rng):
    """Vary an artist's sound from session to session; one in eight is taped on a poor machine."""
    poor = rng.random() < 1 / 8
    return artists.Mix(
        tilt=mix.tilt + rng.normal(0, 0.7),
        bells=(*mix.bells, *artists.draw_bells(rng, 3.0)),
        low_cut=mix.low_cut * rng.uniform(0.8, 1.25),
        bandwidth=rng.uniform(4000, 7000) if poor else mix.bandwidth * rng.uniform(0.85, 1.1),
        hiss=rng.uniform(25, 40) if poor else mix.hiss + rng.normal(0, 6),
        hiss_colour=float(np.clip(mix.hiss_colour + rng.normal(0, 0.2), 0, 1)),
        room=float(np.clip(mix.room * np.exp(rng.normal(0, 0.2)), 0.2, 2.8)),
        wet=float(np.clip(mix.wet + rng.normal(0, 0.08), 0, 0.6)),
        drive=float(np.clip(mix.drive + rng.normal(0, 0.12), 0, 1)),
        loudness=mix.loudness + rng.uniform(0, 8),
    )


def record(y, sample_rate, mix, rng):
    """Put a dry rendering through an artist's room, desk and tape, to a peak of `mix.loudness`."""
    y = y / (np.sqrt(np.mean(y**2)) + 1e-9) * 0.15
    y = equalise(add_room(y, sample_rate, mix, rng), sample_rate, mix)
    y = y / (np.sqrt(np.mean(y**2)) + 1e-9) * 0.15
    y = compress(y, sample_rate, mix.drive)
    hiss = noise(len(y), mix.hiss_colour, rng) * np.sqrt(np.mean(y**2)) * 10 ** (-mix.hiss / 20)
    y = y + hiss
    return (y / np.max(np.abs(y)) * 10 ** (-abs(mix.loudness) / 20)).astype(np.float32)


def perform_track(track, seconds=30.0):
    """Compose, render and record one track.

    Parameters
    ----------
    track : Track
        Of `track_plan`.
    seconds : float
        Length of the recording.

    Returns
    -------
    y : numpy.ndarray, shape (seconds * sample_rate,)
        Mono, float32.
    sample_rate : int
        In Hz.

    Raises
    ------
    ModuleNotFoundError
        If tinysoundfont is not installed; the message says how to install it.
    """
    y, sample_rate = render(artists.score(track, seconds), seconds)
    artist = track.artist
    stream = artists.stream(track.seed, artist.genre, artist.number, track.number, "record")
    rng = np.random.default_rng(stream)
    return record(y, sample_rate, vary_mix(artist.mix, rng), rng), sample_rate
