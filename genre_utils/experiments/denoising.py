"""Whether spectral gating before recognition helps, and what it costs where there is no noise."""

from importlib.metadata import version
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from genre_utils.data import splits
from genre_utils.experiments import corruptions, measurements, robustness
from genre_utils.features import audio, patches, recipes
from genre_utils.models import classical, pretrained, regression
from genre_utils.plots import formatting
from genre_utils.workspace import files, model_names, parallel
from genre_utils.workspace.study_folder import StudyFolder

GRID = "denoising"
LABEL = "all"
NAMES = ("cnn", "logistic", "pretrained")  # of each kind of input one
NONE, STATIONARY, OTHER = "none", "stationary", "non-stationary"  # by noisereduce
UNTOUCHED = "untouched"  # a recording without noise that was added
SEED = 0  # of noise
WORK = 0.04  # seconds of computing on one core for one of a clip


class Version(NamedTuple):
    """A recording as models get it: with noise at an SNR in dB, or untouched, and denoised."""

    noise: str
    snr: float
    treatment: str

    @property
    def label(self) -> str:
        """Name of the version in what is stored."""
        return f"{self.noise}, {self.snr:g} dB, {self.treatment}"


_NOISES = ((UNTOUCHED, np.inf), *product(corruptions.NOISES, (20, 10, 0)))
VERSIONS = tuple(
    Version(*noise, treatment) for noise, treatment in product(_NOISES, (NONE, STATIONARY, OTHER))
)


def obstacle(study: StudyFolder) -> str:
    """Why nothing can be measured in a study; empty if it can."""
    if not measurements.has_audio(study):
        return "it needs recordings, and the study has ready spectrograms"
    if not measurements.trained(study, NAMES):
        return f"it needs one of {', '.join(NAMES)}, and none was trained"
    return measurements.obstacle(study)


def estimate(study: StudyFolder) -> float:
    """Seconds that `measure` takes in a study of recordings."""
    if not measurements.has_audio(study):
        return 0.0
    clips = len(robustness.tested_tracks(study.folds)) * len(VERSIONS)
    return clips * study.features["recipe"]["clip_seconds"] * WORK / joblib.cpu_count()


def measure(study: StudyFolder) -> None:
    """Have models predict recordings with noise and without, denoised or not; resumable.

    The tracks are those of `robustness.measure`. Networks are those of the folds, others are fitted
    again. A ValueError tells of an `obstacle`.
    """
    names = measurements.trained(study, NAMES)
    decides = [measurements.made(study, names), version("noisereduce")]
    for label, key in measurements.left(study, GRID, {LABEL: decides}, obstacle).items():
        measurements.store(study, GRID, label, key, _measured(study, names, key))


def _measured(study, names, key):
    """Predictions of the tracks of each fold; those of folds that are done are read."""
    tracks = robustness.tested_tracks(study.folds)
    places = {fold: study.fold(GRID, fold, key) for fold in tracks["fold"].unique()}
    to_do = tracks[[not places[fold].exists() for fold in tracks["fold"]]]
    jobs = to_do.merge(pd.DataFrame({"version": VERSIONS}), how="cross")
    data = pretrained.Data(study) if "pretrained" in names else classical.Data(study)
    found = _all_described(study, jobs, data)
    for fold, own in jobs.groupby("fold"):
        rows, inputs = _inputs(own, islice(found, len(own)), data.x.columns)
        tables = []
        for name in names:
            p = _predict(data, name, fold, inputs)
            tables.append(robustness.by_track(rows, p, data.genres).assign(model=name))
        files.write_table(places[fold], pd.concat(tables, ignore_index=True))
    predictions = pd.concat([pd.read_parquet(place) for place in places.values()])
    return predictions.astype({"change": "category", "model": "category"})


def _all_described(study, jobs, data):
    """What models read of each version of each track, in the order of the jobs."""
    folder, recipe = Path(study.source["folder"]), recipes.Recipe(**study.features["recipe"])
    path, heard = study.tracks.set_index("track_id")["path"], 0
    if isinstance(data, pretrained.Data):
        heard = int(data.patches["track_id"].value_counts().max())
    pairs = zip(jobs["track_id"], jobs["version"], strict=True)
    calls = ((name, folder / path[name], recipe, one, heard) for name, one in pairs)
    bar = {"desc": "noise, denoised or not", "unit": "clip"}
    return parallel.over(
        _described, calls, len(jobs), folder=folder, n_jobs=measurements.JOBS, **bar
    )


def _described(track_id, path, recipe, one, heard):
    """Spectrograms of the excerpts of a version, statistics, their names, and embeddings.

    The last are of at most `heard` patches; without such there are none.
    """
    y, sr = audio.load_clip(path, seconds=recipe.clip_seconds, sr=recipe.sr)
    if one.noise != UNTOUCHED:
        seed = int(files.sha256(track_id, one.noise, one.snr, [SEED])[:8], 16)
        y = corruptions.noisy(y, sr, one.noise, one.snr, seed=seed)
    y = denoised(y, sr, one.treatment)
    excerpts, summary, columns = corruptions.described_samples(y, recipe)
    count = len(excerpts)
    embedding = _embedding(y, recipe, count, heard) if heard else np.empty((count, 0))
    return excerpts, summary, columns, embedding


def denoised(y: np.ndarray, sr: int, treatment: str) -> np.ndarray:
    """A recording, (n,), after spectral gating (Sainburg, Thielk, Gentner 2020).

    By noisereduce with its own defaults: windows of 1,024 samples; each frequency is let through
    where it is 1.5 standard deviations above its mean level in dB over the clip (stationary), or
    three times as strong as its mean with a time constant of 2 s (non-stationary).
    """
    import noisereduce

    if treatment == NONE or not y.any():
        return y
    return noisereduce.reduce_noise(y=y, sr=sr, stationary=treatment == STATIONARY)


def _embedding(y, recipe, excerpts, heard):
    """What musicnn hears in each excerpt of a clip, (excerpts, 200)."""
    import librosa

    sr, rate = patches.SAMPLE_RATE, recipe.frames_per_second
    y = librosa.resample(y, orig_sr=recipe.sr, target_sr=sr)
    power, starts = patches.cut(audio.normalise_loudness(y, sr, recipe.loudness), heard)
    seconds = recipes.excerpt_frames(recipe.excerpt_seconds, rate) / rate
    return patches.shares(excerpts, seconds, starts) @ patches.listen(power)["embedding"]


def _inputs(jobs, found, columns):
    """Track and version of each excerpt of a fold, and what models read of it."""
    rows, images, values, heard = [], [], [], []
    for job, (excerpts, summary, names, embedding) in zip(jobs.itertuples(), found, strict=True):
        rows += [{"track_id": job.track_id, "change": job.version.label}] * len(excerpts)
        images.append(excerpts)
        values.append(pd.DataFrame(summary, columns=names)[columns])
        heard.append(embedding)
    inputs = {"log_mel": np.concatenate(images), "embedding": np.concatenate(heard)}
    return pd.DataFrame(rows), inputs | {"features": pd.concat(values).to_numpy(np.float32)}


def _predict(data, name, fold, inputs):
    """Probabilities of every excerpt by a model that never met the tracks of the fold."""
    if name in model_names.CLASSICAL:
        return robustness.by_classical(data, name, fold, inputs["features"])
    if name not in model_names.PRETRAINED:
        return robustness.by_network(data.study, name, fold, inputs)
    train, _ = data.rows(fold)
    ids = data.table["track_id"].to_numpy()[train]
    splits.refuse_leakage(data.folds, fold, weights=ids, settings=ids)
    with threadpool_limits(1):
        arrays, _ = pretrained.fit(data, name, train)
    return regression.probabilities(arrays, inputs["embedding"])


def compare(study: StudyFolder) -> pd.DataFrame:
    """Accuracy on each version of the recordings, and its difference from no denoising.

    Gives model, noise, snr (dB), treatment, accuracy, low, high, difference, difference_low,
    difference_high (95 % over artists), p_value (sign-flip permutation test over artists), p_holm
    (Holm over all rows) and separable; what compares is empty without treatment. Empty if nothing
    is stored.
    """
    if not (found := measurements.stored(study, GRID)):
        return pd.DataFrame()
    predictions, rows = found[LABEL][1], []
    right = measurements.correct(predictions, study.genre_of, "track_id", ["model", "change"])
    groups = right.index.map(study.groups)
    for model in sorted(right.columns.unique("model"), key=model_names.place):
        own = right[model]
        table = measurements.accuracies(own, groups)
        for one in VERSIONS:
            row = {"model": model, **one._asdict()} | dict(table.loc[one.label])
            if one.treatment != NONE:
                plain = own[one._replace(treatment=NONE).label]
                row |= measurements.change(own[one.label], plain, groups)
            rows.append(row)
    return measurements.judged(pd.DataFrame(rows))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`compare` as a table to be read, a row per model and noise, a star where significant."""
    points = (100 * table[["difference", "difference_low", "difference_high"]]).to_numpy(float)
    told = [formatting.signed_with_limits(row, 0) for row in points]
    told = pd.Series(told) + np.where(table["separable"].eq(True), " *", "")
    limits = table[["accuracy", "low", "high"]].to_numpy()
    plain = [formatting.as_text(value, ends) for value, *ends in limits]
    text = np.where(table["treatment"] == NONE, plain, told)
    recording = [named(noise, snr) for noise, snr in table[["noise", "snr"]].to_numpy()]
    rows = table.assign(text=text, recording=recording)
    wide = rows.pivot_table("text", ["model", "recording"], "treatment", "first", sort=False)
    return wide.reset_index().rename_axis(columns=None)


def named(noise: str, snr: float) -> str:
    """A noise and its level, or that there is none, in words."""
    return noise if noise == UNTOUCHED else f"{noise}, {snr:g} dB"
