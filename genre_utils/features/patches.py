"""What musicnn hears in patches of 3 s of a clip, by LiteRT; and where what it has learned lies."""

import importlib.util
import threading
from functools import cache
from pathlib import Path

import numpy as np

from genre_utils.workspace import files

SAMPLE_RATE, N_FFT, HOP, BANDS = 16_000, 512, 256, 96
FRAMES = 187  # of a patch
SECONDS = FRAMES * HOP / SAMPLE_RATE
POOLED, EMBEDDING = 1506, 200  # values of a patch before the dense layers, and after the first
#: What the network tells of a patch, in its order: tags that listeners gave to songs.
TAGS: tuple[str, ...] = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock",
    "soul", "indie rock", "mellow", "electronica", "80s", "folk", "90s", "chill", "instrumental",
    "punk", "oldies", "blues", "hard rock", "ambient", "acoustic", "experimental",
    "female vocalist", "guitar", "hip-hop", "70s", "party", "country", "easy listening", "sexy",
    "catchy", "funk", "electro", "heavy metal", "progressive rock", "60s", "rnb", "indie pop",
    "sad", "house", "happy",
)  # fmt: skip
#: MSD_musicnn, written by `models.musicnn.write_litert`; its licence is beside it.
NETWORK = Path(__file__).with_name("musicnn.tflite")
_own = threading.local()  # a network serves one thread at a time
MISSING = (
    "This needs the checkpoint of musicnn, which is not installed. Install it with\n"
    "    pip install --no-deps -r requirements-nodeps.txt"
)


def installed() -> bool:
    """Whether musicnn is there."""
    return importlib.util.find_spec("musicnn") is not None  # which imports nothing


def learned(name: str = "") -> Path:
    """Folder of the package musicnn, or of a network in it; ModuleNotFoundError if it is absent."""
    spec = importlib.util.find_spec("musicnn")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(MISSING, name="musicnn")
    return Path(spec.origin).parent / name


def cut(y: np.ndarray, how_many: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cut a clip at 16 kHz into power spectra, (patches, 187, 257); gives also where each starts.

    They are float32, by a Hann window over 512 samples, every 256; all patches that lie side by
    side, or at most `how_many`, evenly spread; starts are in seconds. A clip that is shorter than a
    patch is repeated until it is one.
    """
    import scipy.fft

    y = np.resize(y, max(len(y), (FRAMES - 1) * HOP)).astype(np.float32)
    starts = _starts(1 + len(y) // HOP, how_many)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(y, N_FFT // 2), N_FFT)[::HOP]
    window = np.sin(np.pi * np.arange(N_FFT, dtype=np.float32) / N_FFT) ** 2
    spectra = [scipy.fft.rfft(frames[one : one + FRAMES] * window, axis=1) for one in starts]
    return np.stack([one.real**2 + one.imag**2 for one in spectra]), starts * HOP / SAMPLE_RATE


def listen(power: np.ndarray) -> dict[str, np.ndarray]:
    """Hear patches as `cut` gives them: pooled (patches, 1506), embedding (200) and tags (50).

    Tags are probabilities.
    """
    if not hasattr(_own, "call"):
        from ai_edge_litert.interpreter import Interpreter

        network = Interpreter(str(NETWORK), num_threads=1)
        _own.call = network.get_signature_runner("serving_default")
    call = _own.call
    heard = [call(power=power[one : one + 1]) for one in range(len(power))]
    return {name: np.concatenate([one[name] for one in heard]) for name in heard[0]}


@cache
def network_sha256() -> str:
    """Which network it is that listens."""
    return files.sha256(NETWORK.read_bytes())


def _starts(frames, how_many):
    """First frames of patches: one after the other, or fewer, in the middle of even parts."""
    whole = frames // FRAMES
    if not 0 < how_many < whole:
        return np.arange(whole) * FRAMES
    middle = (np.arange(how_many) + 0.5) * frames / how_many
    return np.clip(middle - FRAMES / 2, 0, frames - FRAMES).round().astype(int)


def shares(excerpts: int, seconds: float, starts: np.ndarray) -> np.ndarray:
    """Share of each patch of a clip in its excerpts, (excerpts, patches); rows sum to 1.

    A patch counts by how long it overlaps; where none does, the nearest stands in.
    """
    begin = np.arange(excerpts)[:, np.newaxis] * seconds
    overlap = np.minimum(begin + seconds, starts + SECONDS) - np.maximum(begin, starts)
    most = overlap.max(axis=1, keepdims=True)
    weight = np.where(most > 0, overlap.clip(0), overlap == most)
    return weight / weight.sum(axis=1, keepdims=True)
