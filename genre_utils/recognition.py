"""Recognise the genre of a recording with an exported model, without TensorFlow.

A recording of any length is heard in windows as long as the clips that the model was trained on,
each by the recipe of its training corpus, so that memory does not grow with the file. The answer to
the whole is the mean over all excerpts. The names of the classes are those of Guo (2024).
"""

import hashlib
import itertools
import math
import os
import tokenize
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from genre_utils import audio, files

FORMAT = 1  # of exported models
PRETRAINED = Path(__file__).parent / "pretrained" / "gtzan.npz"
SCHEMA = Path(__file__).with_name("recognition.schema.json")
MAX_SIDECAR = 1 << 20  # bytes
MAX_MODEL = 1 << 29  # bytes, packed and unpacked
MAX_FRAMES = 20_000  # of a window
TRIED_SECONDS = 10.0  # of noise, on which a model is tried when it is loaded
FLOOR_DB, LEVELS = 40.0, 255  # range and steps of grey of the pictures in the store gtzan_mel
LEAST_SECONDS = 1.0  # of music that has to be left at the end of a recording to be heard
SHORT_SECONDS = 5.0  # under which an answer comes with a warning
TINY = 1e-12  # probabilities below count as this
TOLD = 4  # digits that probabilities are told with


# what numpy raises on arrays that are damaged or mean harm
_UNREADABLE = (OSError, EOFError, LookupError, TypeError, MemoryError, NotImplementedError)
_UNREADABLE += (RuntimeError, zipfile.BadZipFile, zlib.error, tokenize.TokenError)


class ModelError(ValueError):
    """A model cannot be loaded; the message says why and what to do."""


class RecognitionError(ValueError):
    """A recording cannot be recognised; the message says why."""


# ---------------------------------------------------------------------------- running a model


def sidecar_path(path: Path) -> Path:
    """Where the description of an exported model is."""
    return path.with_name(path.name + ".json")


def read_sidecar(path: Path) -> dict:
    """Description of an exported model, of which nothing is believed that `SCHEMA` forbids.

    Raises
    ------
    ModelError
        If the model or its sidecar is missing, of another format, or no model could be like that.
    """
    beside = sidecar_path(path)
    for needed in (path, beside):
        if not needed.is_file():
            raise ModelError(
                f"{needed} is not there: a model is the .npz file of an exported one, with its "
                ".npz.json beside it (notebook 08 writes them to models/ of a study)"
            )
    for one, most in ((path, MAX_MODEL), (beside, MAX_SIDECAR)):
        if one.stat().st_size > most:
            raise ModelError(f"{one} is larger than a model can be ({most:,} bytes)")
    try:
        about = files.read_json(beside)
        known = about["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{beside} is no sidecar of an exported model") from error
    if known != FORMAT:
        raise ModelError(f"{path} is of format {known!r:.20}, and this program reads {FORMAT}")
    if wrong := _wrong(about):
        raise ModelError(f"{beside} describes no model that could be: {wrong:.300}")
    return about


@lru_cache(maxsize=1)
def _schema_of_sidecars():
    import fastjsonschema  # jsonschema loads slowly where Jupyter is installed

    schema = {"$ref": "#/$defs/sidecar", "$defs": files.read_json(SCHEMA)["$defs"]}
    return fastjsonschema.compile(schema), fastjsonschema.JsonSchemaValueException


def _wrong(about):
    """What no model could be like, by the schema and by what its numbers say of each other."""
    check, violation = _schema_of_sidecars()
    try:
        check(about)
    except violation as error:
        return error.message.removeprefix("data.")
    recipe = about["recipe"]
    clip, excerpt = recipe["clip_seconds"], recipe["excerpt_seconds"]
    rate = recipe["frames_per_second"]
    if recipe["kind"] == "study":
        expected = recipe["sr"] / recipe["hop_length"]
    else:
        expected = recipe["frames"] / clip
    if excerpt > clip or clip * rate > MAX_FRAMES:
        return f"excerpts of {excerpt:g} s, clips of {clip:g} s, {rate:g} frames a second"
    if abs(rate / expected - 1) > 1e-6 or recipe["excerpt_frames"] != int(excerpt * rate):
        return f"{recipe['excerpt_frames']} frames an excerpt, {rate:g} a second"
    return ""


def read_arrays(path: Path) -> dict:
    """Arrays of an exported model, within `MAX_MODEL` bytes and without pickles.

    Raises
    ------
    ModelError
        If they are anything else.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(info.file_size for info in packed.infolist())
        if size > MAX_MODEL:
            raise ValueError(f"it unpacks to {size:,} bytes")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (*_UNREADABLE, ValueError) as error:
        raise ModelError(f"{path} holds no arrays that can be read: {error!s:.300}") from error


def _refuse_shapes(path, arrays, about):
    """Check that arrays have the shapes that a sidecar implies, and hold numbers."""
    mels, genres = about["recipe"]["n_mels"], len(about["labels"])
    shapes = {"typical_mean": (3 * mels,), "typical_scale": (3 * mels,), "typical": (0, 3 * mels)}
    if about["kind"] == "logistic":
        shapes |= {"mean": (0,), "scale": (0,), "weights": (0, genres), "bias": (genres,)}
    else:
        shapes |= {"litert": (0,)}
    if about["recipe"]["kind"] != "study":
        shapes |= {"mel_bank": (mels, 1025)}
    for name, shape in shapes.items():
        found = arrays.get(name, np.empty(()))
        fits = len(found.shape) == len(shape) and found.size and found.dtype.kind in "fu"
        if not fits or any(b and a != b for a, b in zip(found.shape, shape, strict=True)):
            raise ModelError(
                f"{path} does not fit its sidecar: {name} is {found.dtype} of shape {found.shape}"
            )
        if not np.isfinite(found).all() or (name.endswith("scale") and found.min() <= 0):
            raise ModelError(f"{path} holds numbers in {name} that no training leaves")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def logistic(arrays: dict, x: np.ndarray) -> np.ndarray:
    """Probabilities of a logistic regression, softmax((x - mean) / scale @ weights + bias).

    Parameters
    ----------
    arrays : dict of np.ndarray
        mean and scale (columns,), weights (columns, genres) and bias (genres,).
    x : np.ndarray, shape (excerpts, columns)

    Returns
    -------
    np.ndarray, shape (excerpts, genres)
    """
    score = ((x - arrays["mean"]) / arrays["scale"]) @ arrays["weights"] + arrays["bias"]
    odds = np.exp(score - score.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def litert_runner(content: bytes):
    """Function that gives the probabilities of a LiteRT network that hears one excerpt at a time.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    callable
        From a dict of inputs, (excerpts, ...) each, to probabilities (excerpts, genres). Only one
        thread at a time may call it.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ModelError(
            "this model is a network and needs LiteRT: pip install ai-edge-litert"
        ) from error
    ask = Interpreter(model_content=content, num_threads=1).get_signature_runner("serving_default")
    output = next(iter(ask.get_output_details()))

    def run(parts):
        parts = {name: np.asarray(values, np.float32) for name, values in parts.items()}
        count = len(next(iter(parts.values())))
        said = [ask(**{k: v[i : i + 1] for k, v in parts.items()})[output] for i in range(count)]
        return np.concatenate(said)

    return run


def spectrum_statistics(log_mel: np.ndarray) -> np.ndarray:
    """Describe a clip by each mel band's mean, deviation and mean change from frame to frame.

    Parameters
    ----------
    log_mel : np.ndarray, shape (frames, mels)
        Of at least two frames.

    Returns
    -------
    np.ndarray, shape (3 * mels,), float32
    """
    image = np.asarray(log_mel, dtype=np.float32)
    change = np.abs(np.diff(image, axis=0)).mean(axis=0)
    return np.concatenate([image.mean(axis=0), image.std(axis=0), change])


def distance(sounds: dict, statistics: np.ndarray) -> np.ndarray:
    """Distance of clips from the nearest of the typical sounds of a corpus.

    Parameters
    ----------
    sounds : dict of np.ndarray
        typical_mean and typical_scale (columns,), typical (centres, columns).
    statistics : np.ndarray, shape (clips, columns)
        From `spectrum_statistics`.

    Returns
    -------
    np.ndarray, shape (clips,)
        Root mean square over the columns, in standard deviations of the corpus.
    """
    standard = (statistics - sounds["typical_mean"]) / sounds["typical_scale"]
    apart = standard[:, np.newaxis] - sounds["typical"]
    return np.sqrt(np.square(apart).mean(axis=2).min(axis=1))


# ---------------------------------------------------------------------------- sound to input


def windows(path: str | Path, *, seconds: float, sr: int):
    """Yield a recording in windows, mono at one rate, whatever its own rate and channels.

    The last window ends with the recording, so that it is as long as the others and overlaps the
    one before it. A recording shorter than a window is one, as long as it is.

    Parameters
    ----------
    path : str or Path
        Any file that libsndfile or ffmpeg decodes.
    seconds : float
        Length of a window.
    sr : int
        Sample rate to bring it to, in Hz.

    Yields
    ------
    start : float
        In seconds.
    y : np.ndarray, shape (n,), float32

    Raises
    ------
    RecognitionError
        If the file ends in damage, holds no music, or samples that are no sound.
    audio.UndecodableError, OSError
        If it cannot be decoded, or read.
    """
    size, start, rest, last = round(seconds * sr), 0, np.empty(0, np.float32), None
    for block in _resampled(path, sr):
        rest = np.concatenate([rest, block])
        while len(rest) >= size:
            last, rest = rest[:size], rest[size:]
            yield start / sr, last
            start += size
    if last is None and len(rest):
        yield 0.0, rest
    elif last is not None and len(rest) >= LEAST_SECONDS * sr:
        yield (start - size + len(rest)) / sr, np.concatenate([last[len(rest) :], rest])


def _resampled(path, sr):
    """Yield the mean of a recording's channels at another sample rate, block by block."""
    import soundfile
    import soxr

    with audio.opened(path) as sound:
        native, left = sound.samplerate, audio.MAX_SECONDS * sound.samplerate
        if not audio.RATES[0] <= native <= audio.RATES[1] or sound.channels > audio.MAX_CHANNELS:
            raise RecognitionError(
                f"its header announces {sound.channels} channels and {native:,} samples a second"
            )
        stream = soxr.ResampleStream(native, sr, 1, dtype="float32", quality="HQ")
        length = max(1, audio.BLOCK // sound.channels)
        while left > 0:
            try:
                block = sound.read(min(length, left), dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise RecognitionError(f"damaged: {error.error_string}") from error
            if not len(block):
                break
            left -= len(block)
            peak = np.abs(block).max()
            if not peak <= audio.LOUDEST:  # NaN as well
                raise RecognitionError("it holds samples that are no sound (infinite or no number)")
            mono = block.mean(axis=1)
            yield mono if native == sr else stream.resample_chunk(mono)
        if native != sr:
            yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def hear(y: np.ndarray, recipe: dict, arrays: dict) -> dict:
    """Describe a window as the clips of the training corpus were described.

    Parameters
    ----------
    y : np.ndarray, shape (n,), float32
        Mono samples at ``recipe["sr"]``; repeated if shorter than an excerpt.
    recipe : dict
        From the sidecar of a model.
    arrays : dict of np.ndarray
        Of the model.

    Returns
    -------
    dict of np.ndarray
        image (frames, mels), log_mel (excerpts, frames, mels) and, where the model reads them,
        features (excerpts, columns).
    """
    y = np.resize(y, max(len(y), int(np.ceil(recipe["excerpt_seconds"] * recipe["sr"]))))
    if recipe["kind"] == "study":
        families = _study_families(y, recipe)
    else:
        families = _store_families(store_image(y, recipe, arrays["mel_bank"]), recipe)
    image, length = families["log_mel"].T, recipe["excerpt_frames"]
    count = len(image) // length
    heard = {"image": image}
    heard["log_mel"] = image[: count * length].reshape(count, length, image.shape[1])
    if "features" in recipe["reads"]:
        from genre_utils import features

        heard["features"] = features.summarise(families, length)
    return heard


def _study_families(y, recipe):
    """Families of features of a study with recordings (see `features.Recipe`)."""
    from genre_utils import features

    known = features.Recipe.__dataclass_fields__
    own = features.Recipe(**{key: recipe[key] for key in known})
    y = audio.normalise_loudness(np.ascontiguousarray(y), own.sr, own.loudness)
    return features.frame_features(y, own, recipe["families"])


def store_image(y: np.ndarray, recipe: dict, bank: np.ndarray) -> np.ndarray:
    """Log-mel spectrogram as `transfer.as_in_store` makes it, without librosa, which loads slowly.

    Parameters
    ----------
    y : np.ndarray, shape (n,)
        Of the length of a clip, or shorter: then there are fewer columns.
    recipe : dict
    bank : np.ndarray, shape (mels, 1025)
        Weights of each frequency in each mel band.

    Returns
    -------
    np.ndarray, shape (mels, columns), float32
    """
    import scipy.fft

    frames = np.lib.stride_tricks.sliding_window_view(y, 2048)[::1024]
    power = np.empty((len(frames), len(bank)), np.float32)
    window = np.sin(np.pi * np.arange(2048) / 2048, dtype=np.float32) ** 2  # Hann
    for begin in range(0, len(frames), 64):  # few enough to stay in a core's own cache
        spectrum = scipy.fft.rfft(frames[begin : begin + 64] * window, axis=1)
        power[begin : begin + 64] = (spectrum.real**2 + spectrum.imag**2) @ bank.T
    level = 10 * np.log10(np.maximum(power, 1e-10))
    level = np.maximum((level - level.max()) / FLOOR_DB + 1, 0)
    seconds = recipe["clip_seconds"]
    columns = round(recipe["frames"] * min(1.0, len(y) / recipe["sr"] / seconds))
    place = np.minimum((np.arange(columns) + 1.5) * len(level) / columns, len(level) - 1)
    picture = np.round(level[place.astype(int)].T * LEVELS) / LEVELS
    return picture.astype(np.float16).astype(np.float32)


def derivative(rows: np.ndarray, order: int, length: int) -> np.ndarray:
    """Derivative of the polynomial of that order fitted to each stretch of a row.

    It is ``scipy.signal.savgol_filter(rows, length, order, deriv=order)``, whose import alone would
    take longer than the recognition of a clip; of the highest order it is constant at the ends.

    Parameters
    ----------
    rows : np.ndarray, shape (rows, n)
    order, length : int

    Returns
    -------
    np.ndarray, shape (rows, n)
    """
    place = np.arange(length) - length // 2
    weights = math.factorial(order) * np.linalg.pinv(np.vander(place, order + 1))[0]
    inside = np.lib.stride_tricks.sliding_window_view(rows, length, axis=1) @ weights
    return np.pad(inside, ((0, 0), (length // 2, length // 2)), mode="edge")


def _store_families(image, recipe):
    """Families of features of a store, as `features.from_decibels` has them, without librosa."""
    families = {"log_mel": image}
    if "features" not in recipe["reads"]:
        return families
    import scipy.fft

    from genre_utils import features

    mfcc = scipy.fft.dct(image, axis=0, norm="ortho")[:20]
    rise = np.maximum(0, np.diff(image, axis=1)).mean(axis=0)
    return families | {
        "mfcc": mfcc,
        "mfcc_delta": derivative(mfcc, 1, features.ROLLING_DELTA),
        "mfcc_delta2": derivative(mfcc, 2, features.ROLLING_DELTA),
        "onset_strength": np.pad(rise, (2, 0))[np.newaxis, : image.shape[1]],
        "modulation": features.modulation(image, recipe["frames_per_second"]),
    }


# ---------------------------------------------------------------------------- the classes


class MusicStyleClassifier:
    """An exported model: from the samples of a window to the probability of each genre.

    Parameters
    ----------
    model_path : str or Path
        ``NAME.npz`` (see `export`), with its sidecar beside it.

    Raises
    ------
    ModelError
        See `load_model`.
    """

    def __init__(self, model_path: str | Path = PRETRAINED):
        self.path = Path(model_path)
        self.load_model()

    def load_model(self) -> None:
        """Read the model and its sidecar; nothing in them is executed.

        Raises
        ------
        ModelError
            If a file is missing, or not what the sidecar describes.
        """
        self.about = read_sidecar(self.path)
        if file_sha256(self.path) != self.about["sha256"]:
            raise ModelError(
                f"{self.path} is not the file that its sidecar describes (another SHA-256): it was "
                "changed or is damaged. Export it again."
            )
        self.arrays = read_arrays(self.path)
        _refuse_shapes(self.path, self.arrays, self.about)
        try:
            if self.about["kind"] == "litert":
                self._network = litert_runner(self.arrays["litert"].tobytes())
            recipe = self.about["recipe"]
            length = round(min(recipe["clip_seconds"], TRIED_SECONDS) * recipe["sr"])
            noise = np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
            said = self.predict(self.extract_features(noise))
        except (ValueError, RuntimeError, LookupError, TypeError) as error:
            raise ModelError(
                f"{self.path} does not work as its sidecar says: {error!s:.300}"
            ) from error
        if said.shape[1:] != (len(self.about["labels"]),) or not np.isfinite(said).all():
            raise ModelError(f"{self.path} gives no probabilities of the genres of its sidecar")

    def extract_features(self, y: np.ndarray) -> dict:
        """What the model reads of a window (see `hear`)."""
        return hear(y, self.about["recipe"], self.arrays)

    def predict(self, heard: dict) -> np.ndarray:
        """Probabilities of each excerpt, (excerpts, genres), of what `extract_features` gave."""
        if self.about["kind"] == "logistic":
            return logistic(self.arrays, heard["features"])
        return self._network({name: heard[name] for name in self.about["recipe"]["reads"]})

    def distance(self, heard: dict) -> float:
        """How unlike its training corpus a window is: 1 is the limit (see `export`)."""
        apart = distance(self.arrays, spectrum_statistics(heard["image"])[np.newaxis])[0]
        return float(apart) / self.about["unlike"]["above"]


class MusicStyleRecognition:
    """From an audio file to an answer that says how sure it is.

    Parameters
    ----------
    model_path : str or Path
        An exported model; by default the one that comes with this package.
    """

    def __init__(self, model_path: str | Path = PRETRAINED):
        self.load_model(model_path)

    def load_model(self, model_path: str | Path) -> None:
        """Load another exported model (see `MusicStyleClassifier`)."""
        self.classifier = MusicStyleClassifier(model_path)

    def preprocess(self, audio_file: str | Path):
        """Yield the windows of a file: start in seconds, and samples (see `windows`)."""
        recipe = self.classifier.about["recipe"]
        return windows(audio_file, seconds=recipe["clip_seconds"], sr=recipe["sr"])

    def predict(self, heard_windows, watch=None) -> dict:
        """Answer to windows, as `preprocess` yields them.

        Parameters
        ----------
        heard_windows : iterable of (float, np.ndarray)
        watch : callable, optional
            Is given, of each window that is not silent, its start in seconds and the log-mel
            spectrogram (frames, mels) that the model reads.

        Returns
        -------
        dict
            What `run` gives, without audio_file.

        Raises
        ------
        RecognitionError
            If there is nothing in them but silence.
        """
        about, silent, end = self.classifier.about, 0, 0.0
        spans, said, far = [], [], []
        for start, y in heard_windows:
            duration = len(y) / about["recipe"]["sr"]
            covered, end = end, start + duration
            if np.abs(y).max() < audio.SILENCE:
                silent += 1
                continue
            heard = self.classifier.extract_features(y)
            far.append(self.classifier.distance(heard))
            if watch:
                watch(start, heard["image"])
            for (begin, stop), p in zip(
                _spans(about["recipe"], start, duration, len(heard["log_mel"])),
                self.classifier.predict(heard),
                strict=True,
            ):
                if stop > covered + LEAST_SECONDS or not covered:  # else the last window told it
                    spans.append((begin, stop))
                    said.append(p)
        if not said:
            raise RecognitionError("there is no sound in it" + " but silence" * bool(silent))
        if not np.isfinite([*np.ravel(said), *far]).all():
            raise RecognitionError("the model's answer to it is no number")
        return self._answer(spans, np.stack(said).astype(float), far, silent, end)

    def _answer(self, spans, said, far, silent, end):
        about = self.classifier.about
        labels, temperature = about["labels"], about["temperature"]
        whole = sharpened(said.mean(axis=0), temperature)
        each = sharpened(said, temperature)
        timeline = [
            {"start_s": round(a, 2), "end_s": round(b, 2), "label": labels[p.argmax()]}
            | {"probabilities": _told(labels, p)}
            for (a, b), p in zip(spans, each, strict=True)
        ]
        confidence, unlike = float(whole.max()), float(np.median(far))
        accuracy = {key: about["accuracy"][key] for key in ("value", "ci95", "tracks", "artists")}
        answer = {
            "predicted_label": labels[whole.argmax()],
            "probabilities": _told(labels, whole),
            "confidence": round(confidence, TOLD),
            "uncertain": confidence < about["abstain"]["below"],
            "unlike_training": unlike > 1,
            "distance": round(unlike, 3),
            "duration_s": round(end, 2),
            "model": {"name": about["model"], "sha256": about["sha256"], "accuracy": accuracy},
            "corpus": about["corpus"],
            "timeline": timeline,
        }
        return answer | {"warnings": _warnings(answer, about, silent)}

    def run(self, audio_file: str | Path) -> dict:
        """Recognise a file.

        Parameters
        ----------
        audio_file : str or Path
            Any file that libsndfile or ffmpeg decodes.

        Returns
        -------
        dict
            As ``recognition.schema.json`` describes it: audio_file, predicted_label,
            probabilities, confidence (the highest of them), uncertain (it is below what the
            surest 80 % of answers to unknown artists had), unlike_training, distance (from the
            training corpus; above 1 only 5 % of its tracks lie), duration_s, model, corpus,
            timeline (start_s, end_s, label, probabilities) and warnings.

        Raises
        ------
        RecognitionError, audio.UndecodableError, OSError
            If the file cannot be recognised, decoded or read.
        """
        answer = self.predict(self.preprocess(audio_file))
        answer["warnings"] += ends_early(audio_file, answer["duration_s"])
        return {"audio_file": printable(audio_file)} | answer


def sharpened(p: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities p^(1/T), scaled to sum to 1 over the last axis (temperature scaling).

    Parameters
    ----------
    p : np.ndarray, shape (..., genres)
    temperature : float
    """
    powers = np.log(np.maximum(p, TINY)) / temperature
    powers = np.exp(powers - powers.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def ends_early(path: str | Path, heard: float) -> list[str]:
    """Warning where a recording holds less sound than it announces, as a broken-off download.

    Only of what libsndfile decodes: what ffmpeg decodes is then refused (see `audio.opened`).

    Parameters
    ----------
    path : str or Path
    heard : float
        Seconds that were decoded.

    Returns
    -------
    list of str
        One warning, or none.
    """
    import soundfile

    path = audio.on_disk(path)
    try:
        about = soundfile.info(os.fsencode(path))
    except soundfile.LibsndfileError:
        return []
    if missing := audio.bytes_missing(path):
        return [f"It ends after {heard:.1f} s: {missing:,} bytes that it announces are missing."]
    known = about.frames < audio.UNKNOWN_FRAMES and audio.says_its_length(path, about.format)
    announced = about.duration if known else 0
    if min(announced, audio.MAX_SECONDS) - heard < 2 * LEAST_SECONDS:
        return []
    return [f"It announces {announced:.1f} s and ends after {heard:.1f} s: the rest is missing."]


def printable(path: str | Path) -> str:
    r"""Name of a file as text; bytes that are not UTF-8 are spelled out, as in ``caf\xe9.wav``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _spans(recipe, start, duration, count):
    """Start and end, in seconds, of the excerpts of a window."""
    length = recipe["excerpt_frames"] / recipe["frames_per_second"]
    edges = start + np.minimum(np.arange(count + 1) * length, duration)
    return [(float(a), float(b)) for a, b in itertools.pairwise(edges)]


def _told(labels, p):
    return {label: round(float(value), TOLD) for label, value in zip(labels, p, strict=True)}


def _warnings(answer, about, silent):
    found = []
    if answer["unlike_training"]:
        found.append(
            f"It is unlike anything the model was trained on ({answer['distance']:.1f} times as "
            "far as the limit): the label and its probability mean little."
        )
    if answer["uncertain"]:
        found.append(
            f"The model is unsure: its confidence {answer['confidence']:.2f} is below "
            f"{about['abstain']['below']:.2f}."
        )
    if about["corpus"]["synthetic"]:
        found.append("The model was trained on composed music and knows nothing of real genres.")
    if answer["duration_s"] < SHORT_SECONDS:
        found.append(f"Only {answer['duration_s']:.1f} s were heard, and repeated.")
    if silent:
        found.append(f"{silent} windows of {about['recipe']['clip_seconds']:g} s are silent.")
    if answer["duration_s"] >= audio.MAX_SECONDS - 1:
        found.append(f"Only the first {audio.MAX_SECONDS / 3600:g} hours were heard.")
    return found


class ExperimentAnalyzer:
    """Two exported models, asked about the same recordings.

    Parameters
    ----------
    model1, model2 : str, Path or MusicStyleRecognition
    """

    def __init__(self, model1, model2=PRETRAINED):
        self.models = [
            one if isinstance(one, MusicStyleRecognition) else MusicStyleRecognition(one)
            for one in (model1, model2)
        ]

    def compare_models(self, audio_file: str | Path) -> dict:
        """Answers to a file: audio_file, first and second (see `MusicStyleRecognition.run`)."""
        first, second = (model.run(audio_file) for model in self.models)
        return {"audio_file": first["audio_file"], "first": first, "second": second}

    def analyze_results(self, compared: dict) -> dict:
        """What `compare_models` gave, and where the two agree.

        Returns
        -------
        dict
            Beside the two answers: agree (on the whole), agreement (share of the time in which
            they name the same genre), shared_genres, and differences (start_s, end_s, first,
            second: spans in which they do not).
        """
        pieces = _aligned(compared["first"]["timeline"], compared["second"]["timeline"])
        total = sum(end - start for start, end, *_ in pieces)
        alike = sum(end - start for start, end, one, other in pieces if one == other)
        spans = []
        for start, end, one, other in pieces:
            if one == other:
                continue
            joined = spans and (spans[-1]["end_s"], spans[-1]["first"], spans[-1]["second"])
            if joined == (start, one, other):
                spans[-1]["end_s"] = end
            else:
                spans.append({"start_s": start, "end_s": end, "first": one, "second": other})
        labels = [compared[which]["probabilities"] for which in ("first", "second")]
        return compared | {
            "agree": compared["first"]["predicted_label"] == compared["second"]["predicted_label"],
            "agreement": round(alike / total, TOLD) if total else None,
            "shared_genres": [genre for genre in labels[0] if genre in labels[1]],
            "differences": spans,
        }


def _aligned(one, other):
    """Start, end and both labels of every span that two timelines share."""
    edges = sorted({e for line in (one, other) for s in line for e in (s["start_s"], s["end_s"])})
    pieces = []
    for start, end in itertools.pairwise(edges):
        labels = [_label_at(line, (start + end) / 2) for line in (one, other)]
        if None not in labels:
            pieces.append((start, end, *labels))
    return pieces


def _label_at(timeline, moment):
    return next((s["label"] for s in timeline if s["start_s"] <= moment < s["end_s"]), None)


@lru_cache(maxsize=1)
def _pretrained():
    return MusicStyleRecognition()


def deep_learning_model(audio_file: str | Path) -> dict:
    """Genre of a file by the model of this package: ``{"audio_file", "predicted_genre"}``."""
    answer = _pretrained().run(audio_file)
    return {"audio_file": answer["audio_file"], "predicted_genre": answer["predicted_label"]}
