"""Recognise a recording, window by window, with an exported model; its prediction is the mean.

The names of the classes are those of Guo (2024).
"""

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from genre_utils.evaluation import calibration
from genre_utils.features import decoding
from genre_utils.recognition import exported_model, listening

SHORT_SECONDS = 5.0  # under which a prediction comes with a warning
DIGITS = 4  # of probabilities that are handed out


@dataclass
class _Heard:
    """What a model made of the windows of a recording."""

    spans: list[tuple[float, float]] = field(default_factory=list)  # of the excerpts, in seconds
    p: list[np.ndarray] = field(default_factory=list)  # of the excerpts, (genres,) each
    distances: list[float] = field(default_factory=list)  # of the windows that are not silent
    silent: int = 0  # windows
    end: float = 0.0  # of the recording, in seconds


class MusicStyleRecognition:
    """From an audio file to a prediction that says how sure it is.

    Parameters
    ----------
    model_path : str or Path
        An exported model; by default the one that comes with this package.

    Examples
    --------
    >>> recognition = MusicStyleRecognition()
    >>> tone = 0.1 * np.sin(np.arange(30 * 22_050, dtype=np.float32))
    >>> recognition.predict([(0.0, tone)])["unlike_training"]
    True
    """

    def __init__(self, model_path: str | Path = exported_model.PRETRAINED):
        self.load_model(model_path)

    def load_model(self, model_path: str | Path) -> None:
        """Load another exported model."""
        self.classifier = exported_model.MusicStyleClassifier(model_path)

    def preprocess(self, audio_file: str | Path) -> Iterator[tuple[float, np.ndarray]]:
        """Yield the windows of a file: start in seconds, and samples (see `listening.windows`)."""
        recipe = self.classifier.about["recipe"]
        return listening.windows(audio_file, seconds=recipe["clip_seconds"], sr=recipe["sr"])

    def predict(self, windows: Iterable[tuple[float, np.ndarray]], watch=None) -> dict:
        """Predict the genre of windows, as `preprocess` yields them; all of `run` but audio_file.

        `watch` is given the start and log-mel spectrogram of each window that is not silent.
        """
        heard = _heard(self.classifier, windows, watch)
        if not heard.p:
            silence = " but silence" if heard.silent else ""
            raise listening.RecognitionError(f"there is no sound in it{silence}")
        if not np.isfinite([*np.ravel(heard.p), *heard.distances]).all():
            raise listening.RecognitionError("the model's prediction for it is no number")
        return _prediction(self.classifier.about, heard)

    def run(self, audio_file: str | Path) -> dict:
        """Recognise any file that libsndfile or ffmpeg decodes.

        Returns
        -------
        dict
            As ``schema.json`` describes it: audio_file, predicted_label, probabilities, confidence,
            uncertain, unlike_training, distance, duration_s, model, corpus, timeline, warnings.

        Raises
        ------
        RecognitionError, UndecodableError, OSError
            If the file cannot be recognised, decoded or read.
        """
        prediction = self.predict(self.preprocess(audio_file))
        duration = prediction["duration_s"]
        prediction["warnings"] += listening.truncation_warnings(audio_file, duration)
        return {"audio_file": printable(audio_file)} | prediction


def _heard(classifier, windows, watch=None):
    """Probabilities of the excerpts of all windows, and how unlike training the windows are."""
    heard, recipe = _Heard(), classifier.about["recipe"]
    for start, y in windows:
        duration = len(y) / recipe["sr"]
        covered, heard.end = heard.end, start + duration
        if not decoding.audible_seconds(y, recipe["sr"]):
            heard.silent += 1
            continue
        read = classifier.extract_features(y)
        heard.distances.append(classifier.distance(read))
        if watch:
            watch(start, read["spectrogram"])
        spans = _spans(recipe, start, duration, len(read["log_mel"]))
        for span, p in zip(spans, classifier.predict(read), strict=True):
            if not covered or span[1] > covered + listening.LEAST_SECONDS:  # else heard before
                heard.spans.append(span)
                heard.p.append(p)
    return heard


def _spans(recipe, start, duration, count):
    """Start and end, in seconds, of the excerpts of a window."""
    length = recipe["excerpt_frames"] / recipe["frames_per_second"]
    edges = start + np.minimum(np.arange(count + 1) * length, duration)
    return [(float(a), float(b)) for a, b in itertools.pairwise(edges)]


def _prediction(about, heard):
    """What `MusicStyleRecognition.predict` gives, of what was heard."""
    labels, temperature = about["labels"], about["temperature"]
    p = np.stack(heard.p).astype(float)
    whole = calibration.apply_temperature(p.mean(axis=0), temperature)
    each = calibration.apply_temperature(p, temperature)
    confidence, distance = float(whole.max()), float(np.median(heard.distances))
    accuracy = {key: about["accuracy"][key] for key in ("value", "ci95", "tracks", "artists")}
    prediction = {
        **_labelled(labels, whole, "predicted_label"),
        "confidence": round(confidence, DIGITS),
        "uncertain": confidence < about["abstain"]["below"],
        "unlike_training": distance > 1,
        "distance": round(distance, 3),
        "duration_s": round(heard.end, 2),
        "model": {"name": about["model"], "sha256": about["sha256"], "accuracy": accuracy},
        "corpus": about["corpus"],
        "timeline": [
            {"start_s": round(start, 2), "end_s": round(end, 2)} | _labelled(labels, one, "label")
            for (start, end), one in zip(heard.spans, each, strict=True)
        ],
    }
    return prediction | {"warnings": _warnings(prediction, about, heard.silent)}


def _labelled(labels, p, key):
    rounded = [round(float(value), DIGITS) for value in p]
    return {key: labels[p.argmax()], "probabilities": dict(zip(labels, rounded, strict=True))}


def _warnings(prediction, about, silent):
    seconds, distance = prediction["duration_s"], prediction["distance"]
    confidence, least = prediction["confidence"], about["abstain"]["below"]
    unlike = (
        f"It is unlike anything the model was trained on ({distance:.1f} times as far as the "
        "limit): the label and its probability mean little."
    )
    unsure = f"The model is unsure: its confidence {confidence:.2f} is below {least:.2f}."
    composed = "The model was trained on composed music and knows nothing of real genres."
    hours, clip = decoding.MAX_SECONDS / 3600, about["recipe"]["clip_seconds"]
    possible = [
        (prediction["unlike_training"], unlike),
        (prediction["uncertain"], unsure),
        (about["corpus"]["synthetic"], composed),
        (seconds < SHORT_SECONDS, f"Only {seconds:.1f} s were heard, and repeated."),
        (silent, f"{silent} windows of {clip:g} s are silent."),
        (seconds >= decoding.MAX_SECONDS - 1, f"Only the first {hours:g} hours were heard."),
    ]
    return [text for applies, text in possible if applies]


def printable(path: str | Path) -> str:
    r"""Name of a file as text; bytes that are not UTF-8 are spelled out, as in ``caf\xe9.wav``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


_pretrained = cache(MusicStyleRecognition)


def deep_learning_model(audio_file: str | Path) -> dict[str, str]:
    """Predict the genre of a file by the model of this package.

    Parameters
    ----------
    audio_file : str or Path
        Any file that libsndfile or ffmpeg decodes.

    Returns
    -------
    dict
        Its keys are audio_file and predicted_genre.
    """
    found = _pretrained().run(audio_file)
    return {"audio_file": found["audio_file"], "predicted_genre": found["predicted_label"]}


class ExperimentAnalyzer:
    """Two exported models, asked about the same recordings.

    Parameters
    ----------
    model1, model2 : str, Path or MusicStyleRecognition
        Files, or loaded models; the second is by default that of this package.
    """

    def __init__(self, model1, model2=exported_model.PRETRAINED):
        self.models = [
            one if isinstance(one, MusicStyleRecognition) else MusicStyleRecognition(one)
            for one in (model1, model2)
        ]

    def compare_models(self, audio_file: str | Path) -> dict:
        """Predict a file with both: audio_file, first, second (see `MusicStyleRecognition.run`)."""
        first, second = (model.run(audio_file) for model in self.models)
        return {"audio_file": first["audio_file"], "first": first, "second": second}

    def analyze_results(self, compared: dict) -> dict:
        """Tell where the two models of `compare_models` agree.

        Returns
        -------
        dict
            Beside the predictions: agree (on the whole), agreement (share of the time),
            shared_genres, and differences (spans: start_s, end_s, first, second).
        """
        first, second = compared["first"], compared["second"]
        pieces = [*_aligned(first["timeline"], second["timeline"])]
        total = sum(end - start for start, end, *_ in pieces)
        alike = sum(end - start for start, end, one, other in pieces if one == other)
        return compared | {
            "agree": first["predicted_label"] == second["predicted_label"],
            "agreement": round(alike / total, DIGITS) if total else None,
            "shared_genres": [g for g in first["probabilities"] if g in second["probabilities"]],
            "differences": _differences(pieces),
        }


def _aligned(one, other):
    """Yield start, end and both labels of every span that two timelines share."""
    edges = sorted({edge for span in one + other for edge in (span["start_s"], span["end_s"])})
    for start, end in itertools.pairwise(edges):
        labels = [_label_at(line, (start + end) / 2) for line in (one, other)]
        if None not in labels:
            yield start, end, *labels


def _label_at(timeline, moment):
    return next((s["label"] for s in timeline if s["start_s"] <= moment < s["end_s"]), None)


def _differences(pieces):
    """Spans of two labels that differ; those that follow one another with the same are joined."""
    spans: list[dict] = []
    for start, end, one, other in pieces:
        if one == other:
            continue
        last = spans[-1] if spans else {}
        if [last.get(key) for key in ("end_s", "first", "second")] == [start, one, other]:
            last["end_s"] = end
        else:
            spans.append({"start_s": start, "end_s": end, "first": one, "second": other})
    return spans
