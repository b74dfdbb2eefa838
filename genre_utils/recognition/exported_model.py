"""TODO recognition.exported_model."""

import hashlib
import tokenize
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from genre_utils.workspace import files

FORMAT = 1  # of exported models
SCHEMA = Path(__file__).with_name("schema.json")
MAX_SIDECAR = 1 << 20  # bytes
MAX_MODEL = 1 << 29  # bytes, packed and unpacked
MAX_FRAMES = 20_000  # of a window


# what numpy raises on arrays that are damaged or mean harm
_UNREADABLE = (OSError, EOFError, LookupError, TypeError, MemoryError, NotImplementedError)
_UNREADABLE += (RuntimeError, zipfile.BadZipFile, zlib.error, tokenize.TokenError)


class ModelError(ValueError):
    """A model cannot be loaded; the message says why and what to do."""


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


def refuse_shapes(path, arrays, about):
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
