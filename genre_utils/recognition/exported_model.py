"""An exported model, run without TensorFlow: nothing in its files is believed, or executed."""

import hashlib
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from genre_utils.features import patches
from genre_utils.models import regression
from genre_utils.recognition import listening
from genre_utils.workspace import files

PRETRAINED = Path(__file__).parent / "pretrained" / "gtzan.npz"
FORMAT = 1  # of exported models
SCHEMA = Path(__file__).with_name("schema.json")
MAX_SIDECAR = 1 << 20  # bytes
MAX_MODEL = 1 << 29  # bytes, packed and unpacked
MAX_FRAMES = 20_000  # of a window
TRIED_SECONDS = 10.0  # of noise, on which a model is tried when it is loaded

# what numpy raises on arrays that are damaged or mean harm
_UNREADABLE: tuple[type[Exception], ...] = (OSError, EOFError, LookupError, TypeError, ValueError)
_UNREADABLE += (MemoryError, NotImplementedError, RuntimeError)
_UNREADABLE += (zipfile.BadZipFile, zlib.error, tokenize.TokenError)


class ModelError(ValueError):
    """A model cannot be loaded; the message says why and what to do."""


class MusicStyleClassifier:
    """An exported model: from the samples of a window to the probability of each genre.

    Parameters
    ----------
    model_path : str or Path
        ``NAME.npz`` with its sidecar beside it; by default the model of this package.

    Raises
    ------
    ModelError
        If a file is missing, or not what the sidecar describes.

    Examples
    --------
    >>> model = MusicStyleClassifier()
    >>> model.about["labels"][:3]
    ['blues', 'classical', 'country']
    """

    def __init__(self, model_path: str | Path = PRETRAINED):
        self.path = Path(model_path)
        self.load_model()

    def load_model(self) -> None:
        """Read the model and its sidecar, and try it on noise."""
        self.about = read_sidecar(self.path)
        if file_sha256(self.path) != self.about["sha256"]:
            raise ModelError(
                f"{self.path} is not the file that its sidecar describes (another SHA-256): it was "
                "changed or is damaged. Export it again."
            )
        self.arrays = _read_arrays(self.path)
        _refuse_shapes(self.path, self.arrays, self.about)
        recipe = self.about["recipe"]
        try:
            if self.about["kind"] == "litert":
                self._network = litert_runner(self.arrays["litert"].tobytes())
            length = round(min(recipe["clip_seconds"], TRIED_SECONDS) * recipe["sr"])
            noise = np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
            p = self.predict(self.extract_features(noise))
        except (ValueError, RuntimeError, LookupError, TypeError) as error:
            raise ModelError(
                f"{self.path} does not work as its sidecar says: {error!s:.300}"
            ) from error
        if p.shape[1:] != (len(self.about["labels"]),) or not np.isfinite(p).all():
            raise ModelError(f"{self.path} gives no probabilities of the genres of its sidecar")

    def extract_features(self, y: np.ndarray, *, thorough: bool = False) -> dict[str, np.ndarray]:
        """What the model reads of a window (see `listening.inputs`)."""
        return listening.inputs(y, self.about["recipe"], self.arrays, thorough=thorough)

    def predict(self, heard: dict[str, np.ndarray]) -> np.ndarray:
        """Probabilities of each excerpt, (excerpts, genres), of what `extract_features` gave."""
        parts = {name: heard[name] for name in self.about["recipe"]["reads"]}
        if self.about["kind"] == "logistic":
            return regression.probabilities(self.arrays, np.hstack([*parts.values()]))
        return self._network(parts)

    def distance(self, heard: dict[str, np.ndarray], seconds: float) -> float:
        """How unlike its training corpus a window of some seconds is: 1 is the limit."""
        statistics = spectrum_statistics(heard["spectrogram"])[np.newaxis]
        limit = unlike_above(self.about, seconds)
        return float(typical_distance(self.arrays, statistics)[0]) / limit


def litert_runner(content: bytes) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """Function from inputs of a LiteRT network, (excerpts, ...) each, to (excerpts, genres).

    Only one thread at a time may call it; the network hears one excerpt at a time.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter  # optional
    except ImportError as error:
        raise ModelError(
            "this model is a network and needs LiteRT: pip install ai-edge-litert"
        ) from error
    call = Interpreter(model_content=content, num_threads=1).get_signature_runner("serving_default")
    output = next(iter(call.get_output_details()))

    def run(parts):
        parts = {name: np.asarray(values, np.float32) for name, values in parts.items()}
        count = len(next(iter(parts.values())))
        each = [call(**{k: v[i : i + 1] for k, v in parts.items()})[output] for i in range(count)]
        return np.concatenate(each)

    return run


def spectrum_statistics(log_mel: np.ndarray) -> np.ndarray:
    """Mean, deviation and mean change from frame to frame of each band: (3 * mels,), float32."""
    log_mel = np.asarray(log_mel, dtype=np.float32)
    change = np.abs(np.diff(log_mel, axis=0)).mean(axis=0)
    return np.concatenate([log_mel.mean(axis=0), log_mel.std(axis=0), change])


def typical_distance(sounds: dict[str, np.ndarray], statistics: np.ndarray) -> np.ndarray:
    """Distance of clips from the nearest of the typical sounds of a corpus, (clips,).

    It is the root mean square over `spectrum_statistics`, in standard deviations of the corpus.
    """
    standard = (statistics - sounds["typical_mean"]) / sounds["typical_scale"]
    apart = standard[:, np.newaxis] - sounds["typical"]
    return np.sqrt(np.square(apart).mean(axis=2).min(axis=1))


def unlike_above(about: dict, seconds: float) -> float:
    """Distance above which a window of some seconds is unlike the corpus that a sidecar is about.

    Between the lengths that were measured it is interpolated over their logarithms; a sidecar of
    before there were several has one for all.
    """
    known = {about["recipe"]["clip_seconds"]: about["unlike"]["above"]}
    known |= {one["seconds"]: one["above"] for one in about["unlike"].get("shorter", [])}
    lengths = sorted(known)
    return float(np.interp(np.log(seconds), np.log(lengths), [known[one] for one in lengths]))


def sidecar_path(path: Path) -> Path:
    """Where the description of an exported model is."""
    return path.with_name(path.name + ".json")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_sidecar(path: Path) -> dict:
    """Description of an exported model; refuses, by `ModelError`, what `SCHEMA` forbids."""
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


@lru_cache
def _check(definition):
    import fastjsonschema  # jsonschema loads slowly where Jupyter is installed

    schema = {"$ref": f"#/$defs/{definition}", "$defs": files.read_json(SCHEMA)["$defs"]}
    return fastjsonschema.compile(schema), fastjsonschema.JsonSchemaValueException


def of_composed_music(path: Path | None = None) -> Path:
    """An exported model of a study of composed music; without a path the best of `demo`.

    Raises ModelError if there is none, or it has learned other music.
    """
    from genre_utils.workspace.study_folder import (
        StudyFolder,  # loads pandas, which else none needs
    )

    study = StudyFolder("demo")
    models = study.results["models"] if path is None and study.has("results") else {}
    ranked = sorted(models, key=lambda name: models[name]["accuracy"])
    exported = [study.model(name, ".npz") for name in ranked]
    path = path or next((one for one in reversed(exported) if one.is_file()), None)
    if path is None:
        raise ModelError(
            f"{study.model('', '')} holds no exported model of composed music: run `make study`, "
            "or name one with --model."
        )
    if not (about := read_sidecar(path))["corpus"]["synthetic"]:
        raise ModelError(
            f"{path} has learned real music ({about['corpus']['name']}), to which what is composed "
            "is strange: name a model of a study of composed music."
        )
    return path


def violation(content, definition: str) -> str:
    """How something is not as the schema defines it; empty if it is."""
    check, refused = _check(definition)
    try:
        check(content)
    except refused as error:
        return error.message.removeprefix("data.")
    return ""


def _wrong(about):
    """What no model could be like, by the schema and by what its numbers say of each other."""
    if wrong := violation(about, "sidecar"):
        return wrong
    recipe = about["recipe"]
    clip, excerpt = recipe["clip_seconds"], recipe["excerpt_seconds"]
    rate, study = recipe["frames_per_second"], recipe["kind"] == "study"
    expected = recipe["sr"] / recipe["hop_length"] if study else recipe["frames"] / clip
    if excerpt > clip or clip * rate > MAX_FRAMES:
        return f"excerpts of {excerpt:g} s, clips of {clip:g} s, {rate:g} frames a second"
    if "embedding" in recipe["reads"] and recipe["musicnn"] != patches.network_sha256():
        return "another musicnn than this program has, whose embedding differs"
    if abs(rate / expected - 1) > 1e-6 or recipe["excerpt_frames"] != int(excerpt * rate):
        return f"{recipe['excerpt_frames']} frames an excerpt, {rate:g} a second"
    return ""


def _read_arrays(path):
    """Arrays of an exported model, within `MAX_MODEL` bytes and without pickles."""
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(info.file_size for info in packed.infolist())
        if size > MAX_MODEL:
            raise ValueError(f"it unpacks to {size:,} bytes")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except _UNREADABLE as error:
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
