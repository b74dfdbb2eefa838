"""What the recogniser of this package says of sounds that it was not made for, and how often.

    python benchmarks/run.py strange

Composed music, speech (espeak-ng, where it is installed), noise, tones and applause are recognised;
counted is how often each, or three seconds of it, is called unlike the music of training, and how
often the model is unsure. How often it wrongly says so of real music by artists it has not met is
in its sidecar.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import measuring
import numpy as np
import scipy.signal
import soundfile

from genre_utils.features import audio
from genre_utils.recognition import exported_model, listening, recogniser

SR, SECONDS, SHORT = audio.SAMPLE_RATE, 30.0, 3.0
COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}  # power falls with this power of the frequency
VOICES = ("en", "de", "fr", "es", "it", "en+f3", "de+f4", "fr+f2", "es+f5", "it+f1")
TEXT = "genre_utils/features/musicnn.LICENSE.md"  # what the voices read, each from another line on


def noise(count: int) -> Iterator[np.ndarray]:
    """White, pink and brown noise in turns."""
    for number in range(count):
        rng = np.random.default_rng(number)
        power = [*COLOURS.values()][number % len(COLOURS)]
        spectrum = np.fft.rfft(rng.normal(size=round(SECONDS * SR)))
        spectrum[1:] /= np.arange(1, len(spectrum)) ** (power / 2)
        yield np.fft.irfft(spectrum)


def tones(count: int) -> Iterator[np.ndarray]:
    """Steady tones, chords, sirens and clicks in turns, each at a pitch or pace of its own."""
    t = np.arange(round(SECONDS * SR)) / SR
    for number in range(count):
        pitch = 110 * 2 ** (np.random.default_rng(number).uniform(0, 4))
        yield (
            np.sin(2 * np.pi * pitch * t),
            sum(np.sin(2 * np.pi * pitch * ratio * t) for ratio in (1, 1.25, 1.5)),
            np.sin(2 * np.pi * pitch * t + 60 * np.sin(2 * np.pi * 0.2 * t)),
            (np.arange(t.size) % round(SR * 60 / pitch) == 0).astype(float),
        )[number % 4]


def applause(count: int) -> Iterator[np.ndarray]:
    """Thousands of claps, bursts of filtered noise at random moments, that swell and fade."""
    for number in range(count):
        rng, size = np.random.default_rng(number), round(SECONDS * SR)
        claps = np.zeros(size)
        moments = rng.integers(0, size, rng.integers(2_000, 12_000))
        np.add.at(claps, moments, rng.exponential(size=len(moments)))
        burst = rng.normal(size=SR // 50) * np.exp(-np.arange(SR // 50) / (SR / 400))
        low = rng.uniform(600, 1_200)
        band = scipy.signal.butter(2, (low, 3 * low), "bandpass", fs=SR, output="sos")
        swell = np.interp(np.arange(size), np.linspace(0, size, 7), rng.uniform(0.3, 1, 7))
        yield swell * scipy.signal.sosfilt(band, np.convolve(claps, burst, "same"))


def speech(count: int) -> Iterator[np.ndarray]:
    """Synthetic voices of several languages that read on and on."""
    words = " ".join(Path(TEXT).read_text(encoding="utf-8").split())
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            path, begin = Path(folder) / "speech.wav", 37 * number % len(words)
            command = ["espeak-ng", "-v", VOICES[number % len(VOICES)], "-w", str(path)]
            subprocess.run([*command, words[begin:] + words], check=True)
            yield audio.load_clip(path, seconds=SECONDS)[0]


def composed(count: int) -> Iterator[np.ndarray]:
    """Music by the rules of this package, in four genres."""
    for path in measuring.composed_paths(artists=max(1, count // 4)):
        yield audio.load_clip(path, seconds=SECONDS)[0]


KINDS = {
    "composed music": composed,
    "speech": speech,
    "noise": noise,
    "tones and clicks": tones,
    "applause": applause,
}


def measure(count: int) -> dict:
    """Shares of each kind, of `count` sounds, that are called unlike, and of which it is unsure."""
    model, found = recogniser.MusicStyleRecognition(), {}
    for kind, make in KINDS.items():
        if kind == "speech" and not shutil.which("espeak-ng"):
            continue
        sounds = [*make(count)]
        answers = [model.run(path) for path in _written(sounds)]
        short = [model.run(path) for path in _written(map(_middle, sounds))]
        found[kind] = {
            "sounds": len(answers),
            "unlike": np.mean([answer["unlike_training"] for answer in answers]),
            "unlike_short": np.mean([answer["unlike_training"] for answer in short]),
            "unsure": np.mean([answer["uncertain"] for answer in answers]),
            "confidence": float(np.median([answer["confidence"] for answer in answers])),
        }
    return told({"kinds": found, "silence": _of_silence(model)})


def _middle(y):
    start = (len(y) - round(SHORT * SR)) // 2
    return y[start : start + round(SHORT * SR)]


def _written(sounds):
    """Path of a file that holds each sound in turn, as loud as music is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        for y in sounds:
            soundfile.write(path, 0.1 * y / np.sqrt(np.mean(y**2)), SR, subtype="FLOAT")
            yield path


def _of_silence(model):
    try:
        model.predict([(0.0, np.zeros(round(SECONDS * SR), np.float32))])
    except listening.SilentError as error:
        return str(error)
    raise AssertionError("silence was given a genre")


def told(found: dict) -> dict:
    """What was measured, with the sentences and figures that follow from it."""
    about = exported_model.read_sidecar(exported_model.PRETRAINED)
    kinds = [
        f"{kind} {100 * one['unlike']:.0f} % (of {one['sounds']}; of {SHORT:g} s of each "
        f"{100 * one['unlike_short']:.0f} %; unsure of {100 * one['unsure']:.0f} %, median "
        f"confidence {one['confidence']:.2f})"
        for kind, one in found["kinds"].items()
    ]
    alarms = 100 * about["unlike"]["false_alarms"]
    shorter = {one["seconds"]: 100 * one["false_alarms"] for one in about["unlike"]["shorter"]}
    says = [
        f"Called unlike the music of training: {'; '.join(kinds)}. Of real music by artists that "
        f"the limit was not taken from: {alarms:.0f} % of {about['unlike']['tracks']} tracks, and "
        f"{shorter[SHORT]:.0f} % of parts of {SHORT:g} s, wrongly. Silence is refused: "
        f"{found['silence']}."
    ]
    figures = {
        f"{kind}, share called unlike": measuring.figure(one["unlike"])
        for kind, one in found["kinds"].items()
    }
    return {"model": about["sha256"]} | found | {"says": says, "figures": figures}


def main():
    """Measure, print what came out, and write it as JSON if asked to."""
    options = measuring.parser(__doc__).parse_args()
    measuring.show(measure(4 if options.quick else 40), options.json)


if __name__ == "__main__":
    main()
