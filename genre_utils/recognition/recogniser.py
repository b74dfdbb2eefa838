"""Recognise a recording, window by window, with an exported model; its prediction is the mean.

The names of the classes are those of Guo (2024).
"""

import itertools
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from genre_utils.evaluation import calibration
from genre_utils.features import decoding, patches
from genre_utils.recognition import exported_model, listening

SHORT_SECONDS = 5.0  # under which a prediction comes with a warning
DIGITS = 4  # of probabilities that are handed out
TOLD = 5  # tags


@dataclass
class _Heard:
    """What a model made of the windows of a recording."""

    spans: list[tuple[float, float]] = field(default_factory=list)  # of the excerpts, in seconds
    p: list[np.ndarray] = field(default_factory=list)  # of the excerpts, (genres,) each
    distances: list[float] = field(default_factory=list)  # of the windows that are not silent
    tags: list[np.ndarray] = field(default_factory=list)  # of the windows that musicnn heard
    seconds: float = 0.0  # of the windows that are not silent
    silent: int = 0  # windows
    end: float = 0.0  # of the recording, in seconds


class MusicStyleRecognition:
    """From an audio file to a prediction that says how sure it is.

    Parameters
    ----------
    model_path : str or Path
        An exported model; by default the one that comes with this package.
    thorough : bool
        Hear all of a long recording, instead of some windows of it, evenly spread.

    Examples
    --------
    >>> recognition = MusicStyleRecognition()
    >>> tone = 0.1 * np.sin(np.arange(30 * 22_050, dtype=np.float32))
    >>> recognition.predict([(0.0, tone)])["unlike_training"]
    True
    """

    def __init__(
        self, model_path: str | Path = exported_model.PRETRAINED, *, thorough: bool = False
    ):
        self.thorough = thorough
        self.load_model(model_path)

    def load_model(self, model_path: str | Path) -> None:
        """Load another exported model."""
        self.classifier = exported_model.MusicStyleClassifier(model_path)

    def preprocess(self, audio_file: str | Path) -> Iterator[tuple[float, np.ndarray]]:
        """Yield the windows of a file: start in seconds, and samples (see `listening.windows`)."""
        return self._windows(audio_file, math.inf if self.thorough else listening.HEARD_SECONDS)

    def _windows(self, audio_file, at_most):
        recipe = self.classifier.about["recipe"]
        seconds, sr = recipe["clip_seconds"], recipe["sr"]
        return listening.windows(audio_file, seconds=seconds, sr=sr, at_most=at_most)

    def predict(self, windows: Iterable[tuple[float, np.ndarray]], watch=None) -> dict:
        """Predict the genre of windows, as `preprocess` yields them; all of `run` but audio_file.

        `watch` is given the start and log-mel spectrogram of each window that is not silent.
        """
        heard = _heard(self.classifier, windows, watch, self.thorough)
        if not heard.p:
            silence = " but silence" if heard.silent else ""
            raise listening.SilentError(f"there is no sound in it{silence}")
        if not np.isfinite([*np.ravel(heard.p), *heard.distances]).all():
            raise listening.RecognitionError("the model's prediction for it is no number")
        return _prediction(self.classifier.about, heard)

    def run(
        self,
        audio_file: str | Path,
        *,
        watch: Callable | None = None,
        seconds: float = math.inf,
    ) -> dict:
        """Recognise any file that libsndfile or ffmpeg decodes.

        Parameters
        ----------
        audio_file : str or Path
            The recording.
        watch : callable, optional
            See `predict`.
        seconds : float
            Of computing, after which the prediction is of what was heard until then.

        Returns
        -------
        dict
            As ``schema.json`` describes it: audio_file, predicted_label, probabilities, confidence,
            uncertain, unlike_training, distance, duration_s, heard_s, model, corpus, timeline,
            warnings; and tags, where the model hears with musicnn: its five most probable ones.

        Raises
        ------
        RecognitionError, UndecodableError, OSError
            If the file cannot be recognised, decoded or read.
        """
        try:
            prediction = self._in_time(audio_file, self.preprocess(audio_file), watch, seconds)
        except listening.SilentError:  # of a long recording, between the windows there may be music
            windows = self._windows(audio_file, math.inf)
            prediction = self._in_time(audio_file, windows, watch, seconds)
        return {"audio_file": printable(audio_file)} | prediction

    def _in_time(self, audio_file, windows, watch, seconds):
        """Prediction of the windows that can be heard in some seconds."""
        prediction = self.predict(_until(windows, time.monotonic() + seconds), watch)
        heard = prediction["duration_s"]
        if next(windows, None) is None:
            prediction["warnings"] += listening.truncation_warnings(audio_file, heard)
        else:
            limit = f"more would take over {seconds:g} s"
            told = f"Only the first {heard / 60:.1f} minutes were heard: {limit}."
            prediction["warnings"].append(told)
        return prediction


def _until(windows, end):
    """Yield at least one window, and others as long as there is time."""
    for window in windows:
        yield window
        if time.monotonic() > end:
            return


def _heard(classifier, windows, watch, thorough):
    """Probabilities of the excerpts of all windows, and how unlike training the windows are."""
    heard, recipe = _Heard(), classifier.about["recipe"]
    for start, y in windows:
        duration = len(y) / recipe["sr"]
        covered, heard.end = heard.end, start + duration
        if not len(y):  # the end of a recording of which some windows were heard
            continue
        if not decoding.audible_seconds(y, recipe["sr"]):
            heard.silent += 1
            continue
        read = classifier.extract_features(y, thorough=thorough)
        heard.seconds += duration - max(0.0, covered - start)
        heard.tags += [read["tags"]] if "tags" in read else []
        heard.distances.append(classifier.distance(read, duration))
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
        "heard_s": round(heard.seconds, 2),
        "model": {"name": about["model"], "sha256": about["sha256"], "accuracy": accuracy},
        "corpus": about["corpus"],
        "timeline": [
            {"start_s": round(start, 2), "end_s": round(end, 2)} | _labelled(labels, one, "label")
            for (start, end), one in zip(heard.spans, each, strict=True)
        ],
    }
    if heard.tags:
        prediction["tags"] = _strongest(np.mean(heard.tags, axis=0))
    return prediction | {"warnings": _warnings(prediction, about, heard.silent)}


def _strongest(tags):
    """The most probable tags of musicnn, and their probabilities."""
    order = np.argsort(-tags)[:TOLD]
    return {patches.TAGS[place]: round(float(tags[place]), DIGITS) for place in order}


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


@dataclass(frozen=True)
class Excerpt:
    """A few seconds of a recording, and what was predicted of them alone."""

    start_s: float
    end_s: float
    label: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Answer:
    """What `recognise` has to say of a recording.

    Parameters
    ----------
    audio_file : str
        The file that was asked about.
    label : str
        The most probable genre.
    confidence : float
        Its probability.
    probabilities : dict of str to float
        Of each genre that the model knows.
    uncertain, unlike_training : bool
        Whether the confidence is low, and whether the recording is unlike all that the model was
        trained on: then the label means little.
    distance : float
        How unlike it is; 1 is the limit.
    tags : dict of str to float
        The five most probable tags of musicnn; empty if the model hears without it.
    duration_s, heard_s : float
        Seconds of the recording, and how many of them were heard.
    timeline : tuple of Excerpt
        What was predicted of each excerpt that was heard.
    warnings : tuple of str
        Reasons to doubt the answer, in sentences.
    """

    audio_file: str
    label: str
    confidence: float
    probabilities: dict[str, float]
    uncertain: bool
    unlike_training: bool
    distance: float
    tags: dict[str, float]
    duration_s: float
    heard_s: float
    timeline: tuple[Excerpt, ...]
    warnings: tuple[str, ...]


_loaded = cache(MusicStyleRecognition)


def recognise(
    path: str | Path,
    *,
    model: str | Path = exported_model.PRETRAINED,
    thorough: bool = False,
) -> Answer:
    """Recognise the genre of a recording.

    Parameters
    ----------
    path : str or Path
        Any file that libsndfile or ffmpeg decodes.
    model : str or Path
        An exported model, ``models/NAME.npz`` of a study; by default that of this package.
    thorough : bool
        Hear all of a long recording, instead of some windows of it, evenly spread.

    Returns
    -------
    Answer
        With label, confidence, and what is needed to doubt them.

    Raises
    ------
    RecognitionError, UndecodableError, OSError
        If the file cannot be recognised, decoded or read.
    ModelError
        If the model is not one.
    """
    found = _loaded(model, thorough=thorough).run(path)
    told = {name: found[name] for name in Answer.__dataclass_fields__ if name in found}
    told |= {"label": found["predicted_label"], "tags": found.get("tags", {})}
    told |= {"timeline": tuple(Excerpt(**span) for span in found["timeline"])}
    return Answer(**told | {"warnings": tuple(found["warnings"])})


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
    found = recognise(audio_file)
    return {"audio_file": found.audio_file, "predicted_genre": found.label}


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
