"""Recognise the genre of a recording with an exported model, without TensorFlow.

A recording of any length is heard in windows as long as the clips that the model was trained on,
each by the recipe of its training corpus, so that memory does not grow with the file. The answer to
the whole is the mean over all excerpts. The names of the classes are those of Guo (2024).
"""

import itertools
import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from genre_utils.features import decoding
from genre_utils.recognition import exported_model, listening

PRETRAINED = Path(__file__).parent / "pretrained" / "gtzan.npz"
TRIED_SECONDS = 10.0  # of noise, on which a model is tried when it is loaded
SHORT_SECONDS = 5.0  # under which an answer comes with a warning
TINY = 1e-12  # probabilities below count as this
TOLD = 4  # digits that probabilities are told with


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
        self.about = exported_model.read_sidecar(self.path)
        if exported_model.file_sha256(self.path) != self.about["sha256"]:
            raise exported_model.ModelError(
                f"{self.path} is not the file that its sidecar describes (another SHA-256): it was "
                "changed or is damaged. Export it again."
            )
        self.arrays = exported_model.read_arrays(self.path)
        exported_model.refuse_shapes(self.path, self.arrays, self.about)
        try:
            if self.about["kind"] == "litert":
                self._network = exported_model.litert_runner(self.arrays["litert"].tobytes())
            recipe = self.about["recipe"]
            length = round(min(recipe["clip_seconds"], TRIED_SECONDS) * recipe["sr"])
            noise = np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
            said = self.predict(self.extract_features(noise))
        except (ValueError, RuntimeError, LookupError, TypeError) as error:
            raise exported_model.ModelError(
                f"{self.path} does not work as its sidecar says: {error!s:.300}"
            ) from error
        if said.shape[1:] != (len(self.about["labels"]),) or not np.isfinite(said).all():
            raise exported_model.ModelError(
                f"{self.path} gives no probabilities of the genres of its sidecar"
            )

    def extract_features(self, y: np.ndarray) -> dict:
        """What the model reads of a window (see `hear`)."""
        return listening.hear(y, self.about["recipe"], self.arrays)

    def predict(self, heard: dict) -> np.ndarray:
        """Probabilities of each excerpt, (excerpts, genres), of what `extract_features` gave."""
        if self.about["kind"] == "logistic":
            return exported_model.logistic(self.arrays, heard["features"])
        return self._network({name: heard[name] for name in self.about["recipe"]["reads"]})

    def distance(self, heard: dict) -> float:
        """How unlike its training corpus a window is: 1 is the limit (see `export`)."""
        apart = listening.distance(
            self.arrays, listening.spectrum_statistics(heard["image"])[np.newaxis]
        )[0]
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
        return listening.windows(audio_file, seconds=recipe["clip_seconds"], sr=recipe["sr"])

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
            if np.abs(y).max() < decoding.SILENCE:
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
                if (
                    stop > covered + listening.LEAST_SECONDS or not covered
                ):  # else the last window told it
                    spans.append((begin, stop))
                    said.append(p)
        if not said:
            raise listening.RecognitionError(
                "there is no sound in it" + " but silence" * bool(silent)
            )
        if not np.isfinite([*np.ravel(said), *far]).all():
            raise listening.RecognitionError("the model's answer to it is no number")
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
        answer["warnings"] += listening.ends_early(audio_file, answer["duration_s"])
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
    if answer["duration_s"] >= decoding.MAX_SECONDS - 1:
        found.append(f"Only the first {decoding.MAX_SECONDS / 3600:g} hours were heard.")
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
