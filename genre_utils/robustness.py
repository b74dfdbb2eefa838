"""How models that were trained on clean recordings hear changed ones: noisy, narrow, squeezed, cut.

Every track is asked of the model of its own fold, which never met it, as it is and after each
change, so that all differences are paired. Nothing is trained here but one network on changed
copies, to see whether that prepares it.
"""

import io
import shutil
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd

from genre_utils import (
    ablation,
    audio,
    augmentation,
    classical,
    ensemble,
    evaluation,
    features,
    files,
    grids,
    parallel,
    splits,
)

GRID = "robustness"
CLEAN = "as it is"
NETWORK = "cnn"  # the one that is also trained with, or without, changed copies
PER_ARTIST = 2  # tracks of each artist that are asked about
AT_MOST = 400  # tracks in all
SEED = 0  # of the choice of tracks, and of noise
SECONDS_A_CLIP, SECONDS_A_MODEL = 0.35, 3.0  # to change and describe a clip; to load and ask
VERSION = 1  # of what is measured: another one is measured anew
ORDER = 8  # of Butterworth filters


class Change(NamedTuple):
    """One change of a recording: what it is about, how it is called, and how strong it is."""

    question: str
    label: str
    kind: str
    value: float = 0.0


NOISE, BAND, CODEC, LEVEL = "white noise", "bandwidth", "lossy coding", "level"
TEMPO, PITCH, LENGTH = "tempo", "pitch", "length of the clip"
CHANGES = (
    *(Change(NOISE, f"noise at {snr} dB", "noise", snr) for snr in (30, 20, 10, 0)),
    Change(BAND, "below 8 kHz", "low-pass", 8000.0),
    Change(BAND, "telephone, 300 to 3400 Hz", "telephone"),
    *(Change(CODEC, f"MP3, {rate} kbit/s", "mp3", rate) for rate in (32, 16)),
    *(Change(CODEC, f"Opus, {rate} kbit/s", "opus", rate) for rate in (24, 12)),
    Change(LEVEL, "20 dB quieter", "gain", -20.0),
    Change(LEVEL, "6 dB over full scale, clipped", "clipped", 6.0),
    Change(TEMPO, "10 % slower", "stretch", 0.9),
    Change(TEMPO, "10 % faster", "stretch", 1.1),
    *(Change(PITCH, f"{steps:+d} semitone{'s' * (abs(steps) > 1)}", "pitch", steps)
      for steps in (-2, -1, 1, 2)),
    *(Change(LENGTH, f"clip of {seconds} s", "length", seconds) for seconds in (1, 3, 6, 15, 30)),
)  # fmt: skip


def changes(*, clip_seconds: float, has_audio: bool) -> list[Change]:
    """Changes that can be made in a study.

    Parameters
    ----------
    clip_seconds : float
        Duration of its clips: longer ones cannot be asked about.
    has_audio : bool
        Without recordings there is only the length, since the others change a waveform.
    """
    possible = [c for c in CHANGES if c.kind != "length" or c.value < clip_seconds]
    return [change for change in possible if has_audio or change.kind == "length"]


def apply(y: np.ndarray, sr: int, change: Change, *, seed: int) -> np.ndarray:
    """Change a recording.

    Parameters
    ----------
    y : np.ndarray, shape (n,), float32
    sr : int
        Sample rate in Hz.
    change : Change
        Its kind is one of noise (white, `value` dB below the mean power of `y`), low-pass (at
        `value` Hz), telephone (300 to 3400 Hz), mp3 and opus (at `value` kbit/s), gain (`value`
        dB), clipped (the loudest sample `value` dB above full scale, and cut off there), stretch
        (`value` times as fast, at the same pitch), pitch (`value` semitones, at the same tempo),
        and length (the middle `value` seconds). Filters are Butterworth's of order 8, run forward
        and backward, so that nothing is delayed.
    seed : int
        Of the noise.

    Returns
    -------
    np.ndarray, float32
    """
    import audiomentations

    kind, value = change.kind, change.value
    if kind == "noise":
        noise = np.random.default_rng(seed).normal(size=len(y))
        y = y + noise * np.sqrt(np.mean(np.square(y, dtype=float)) / 10 ** (value / 10))
    elif kind == "low-pass":
        y = _filtered(y, sr, value, "lowpass")
    elif kind == "telephone":
        y = _filtered(y, sr, (300.0, 3400.0), "bandpass")
    elif kind in ("mp3", "opus"):
        y = _coded(y, sr, kind, value)
    elif kind == "gain":
        y = y * 10 ** (value / 20)
    elif kind == "clipped":
        y = np.clip(y / max(abs(y).max(), audio.SILENCE) * 10 ** (value / 20), -1.0, 1.0)
    elif kind == "stretch":
        stretch = audiomentations.TimeStretch(value, value, leave_length_unchanged=False, p=1.0)
        y = stretch(samples=y, sample_rate=sr)
    elif kind == "pitch":
        y = audiomentations.PitchShift(value, value, p=1.0)(samples=y, sample_rate=sr)
    else:
        length = min(len(y), round(value * sr))
        start = (len(y) - length) // 2
        y = y[start : start + length]
    return np.ascontiguousarray(y, dtype=np.float32)


def _filtered(y, sr, edges, kind):
    import scipy.signal

    edges = np.minimum(edges, 0.49 * sr)  # of a low sample rate there is nothing above
    sections = scipy.signal.butter(ORDER, edges, kind, fs=sr, output="sos")
    return scipy.signal.sosfiltfilt(sections, y)


def _coded(y, sr, codec, rate):
    """Encode and decode; libsndfile takes a level from 0 to 1 in place of a bit rate."""
    import librosa
    import soundfile

    if codec == "mp3":  # of mono at up to 24 kHz: 160 to 8 kbit/s
        options = {"format": "MP3", "bitrate_mode": "CONSTANT"}
        native, level = sr, (160 - rate) / (160 - 8)
    else:  # 256 to 6 kbit/s a channel, on average; few sample rates are known to it
        options = {"format": "OGG", "subtype": "OPUS"}
        native, level = 24_000, (256 - rate) / (256 - 6)
    buffer = io.BytesIO()
    sound = librosa.resample(y, orig_sr=sr, target_sr=native).clip(-1.0, 1.0)
    soundfile.write(buffer, sound, native, compression_level=level, **options)
    buffer.seek(0)
    decoded, native = soundfile.read(buffer, dtype="float32")
    return librosa.resample(decoded, orig_sr=native, target_sr=sr)[: len(y)]


def _filled(values, least):
    """Values repeated along the first axis until there are at least so many."""
    repeats = -(-least // len(values))
    return np.concatenate([values] * repeats)[: max(least, len(values))] if repeats > 1 else values


def described(track_id: str, path: Path, recipe: features.Recipe, change: Change, seed: int):
    """Features of a changed recording, as a study's feature store has them of the original.

    A clip that is shorter than an excerpt is repeated until it fills one.

    Returns
    -------
    excerpts : np.ndarray, shape (excerpts, frames, mels)
    summary : np.ndarray, shape (excerpts, statistics)
    columns : list of str
        Names of the statistics.
    """
    y, sr = audio.load_clip(path, seconds=recipe.clip_seconds, sr=recipe.sr)
    y = apply(y, sr, change, seed=int(files.sha256(track_id, change.label, [seed])[:8], 16))
    y = _filled(y, int(np.ceil(recipe.excerpt_seconds * sr)))
    y = audio.normalise_loudness(y, sr, recipe.loudness)
    found = features.frame_features(y, recipe)
    return _cut(found, features.excerpt_frames(recipe.excerpt_seconds, recipe.frames_per_second))


def described_image(track_id: str, path: Path, row: int, change: Change, store: dict):
    """Like `described`, for the middle of a ready spectrogram; `store` is its features.json."""
    image, rate = np.load(path, mmap_mode="r")[row], store["frames_per_second"]
    length = features.excerpt_frames(store["excerpt_seconds"], rate)
    frames = min(len(image), max(1, round(change.value * rate)))
    start = (len(image) - frames) // 2
    image = _filled(np.asarray(image[start : start + frames], dtype=np.float32), length)
    found = {"log_mel": image.T, **features.from_decibels(image.T)}
    return _cut(found | {"modulation": features.modulation(image.T, rate)}, length)


def _cut(found, length):
    """Excerpts, their statistics, and what these are called."""
    image = found["log_mel"].T
    excerpts = image[: len(image) // length * length].reshape(-1, length, image.shape[1])
    return excerpts, features.summarise(found, length), features.summary_columns(found)


# ------------------------------------------------------------------------------------ asking


def chosen(folds, *, per_artist: int, at_most: int = AT_MOST, seed: int = SEED) -> pd.DataFrame:
    """Tracks that are asked about, and the fold whose models never met them.

    Parameters
    ----------
    folds : pd.DataFrame
        track_id, fold, part, group.
    per_artist, at_most : int
        Of each artist, and in all; where there are more artists, some are left out.
    seed : int

    Returns
    -------
    pd.DataFrame
        track_id and fold, by fold.
    """
    tested = folds[folds["part"] == "test"].sort_values("track_id")
    shuffled = tested.sample(frac=1.0, random_state=seed)
    turn = shuffled.groupby("group").cumcount()
    kept = shuffled[turn < per_artist].iloc[np.argsort(turn[turn < per_artist], kind="stable")]
    return kept[["track_id", "fold"]][:at_most].sort_values(["fold", "track_id"], ignore_index=True)


def estimate(study: Path, *, per_artist: int = PER_ARTIST) -> float:
    """Seconds that `measure` takes in a study."""
    asked = chosen(pd.read_parquet(study / "folds.parquet"), per_artist=per_artist)
    names, folds = evaluation.finished_models(study), asked["fold"].nunique()
    seconds = SECONDS_A_MODEL * len(names) * folds
    clips = len(asked) * len(_changes(study))
    if grids.has_audio(study) and NETWORK in names:  # on copies, which have to be made
        seconds += grids.run_of(study, NETWORK)["training_seconds"]
        clips += files.read_json(study / "corpus.json")["tracks"]
    return seconds + clips * SECONDS_A_CLIP / joblib.cpu_count()


def _changes(study):
    described = files.read_json(study / "features.json")
    seconds = pd.read_parquet(study / "tracks.parquet")["duration_s"].max()
    if described["recipe"] is not None:
        seconds = min(seconds, described["recipe"]["clip_seconds"])
    return changes(clip_seconds=seconds, has_audio=described["recipe"] is not None)


def measure(study: Path, *, per_artist: int = PER_ARTIST, n_jobs: int = -1) -> None:
    """Ask all models of a study about changed recordings, and store the answers; resumable.

    Networks are those of the folds that never met the track, classical models are fitted again in
    each fold. Where there are recordings, the cnn's folds are trained once more: on changed copies
    as well, or without them if the study has some, so that the two can be compared.

    Parameters
    ----------
    study : Path
        Whose models are trained. ``predictions/robustness/all.parquet`` and ``.json`` are written.
    per_artist : int
        Tracks of each artist that are asked about (`AT_MOST` in all).
    n_jobs : int
        Processes that change and describe recordings; -1 for one per core.

    Raises
    ------
    ValueError
        If the study has a fixed split.
    FileNotFoundError
        If the networks were trained elsewhere (see `training.fold_model`).
    """
    if why := grids.one_look(study):
        raise ValueError(f"the robustness cannot be measured: {why}.")
    names = [name for name in evaluation.finished_models(study) if name != "ensemble"]
    made_by = {name: grids.made_by(study, name) for name in names}
    possible = _changes(study)
    key = files.sha256(grids.inputs(study), made_by, possible, per_artist, SEED, VERSION)
    if grids.is_stored(study, GRID, "all", key):
        return
    homes = {name: (study, name) for name in names if name not in grids.CLASSICAL}
    if grids.has_audio(study) and NETWORK in names:
        homes[twin(study)] = _train_twin(study), NETWORK
    asked = chosen(pd.read_parquet(study / "folds.parquet"), per_artist=per_artist)
    answers = pd.concat(_answers(study, asked, possible, names, homes, key, n_jobs))
    grids.store(study, GRID, "all", key, answers, tracks=len(asked), twin=list(_pair(study)))


def _has_copies(study):
    return pd.read_parquet(study / "features.parquet", columns=["copy"])["copy"].max() > 0


def twin(study: Path) -> str:
    """Name of the network that is trained here, and differs from the study's by its copies."""
    return f"{NETWORK}, no copies" if _has_copies(study) else f"{NETWORK}, changed copies"


def _pair(study):
    """Names of the network with copies and the one without."""
    return (NETWORK, twin(study)) if _has_copies(study) else (twin(study), NETWORK)


def _train_twin(study):
    """Train the network's folds with copies if the study has none, else without; where they are."""
    from genre_utils import training

    place = study / "folds_done" / "robustness_twin"
    done = place / "key.json"
    key = files.sha256(grids.inputs(study), grids.made_by(study, NETWORK), SEED)
    if done.exists() and files.read_json(done) == key:
        return place
    settings, options = grids.settings_of(study, NETWORK)
    options["label"] = twin(study)
    if _has_copies(study):
        data = training.load(study)
        data.keep(data.table["copy"] == 0)
    else:
        effects = {"effects": augmentation.EFFECTS, "p": 0.5}
        variant = ablation.Variant("robustness", "changed copies", **effects)
        folder = ablation.derive(study, variant, SEED)
        data = training.load(folder)
        options["epochs"] = max(1, options["epochs"] // 2)  # of twice as many excerpts
    _, run = training.out_of_fold(place, NETWORK, data, settings, **options)
    if not _has_copies(study):
        shutil.rmtree(folder)  # the feature cache can give it again
    files.write_json(place / "runs" / f"{NETWORK}.json", run)
    files.write_json(done, key)  # last: it says that all is there
    return place


def _answers(study, asked, possible, names, homes, key, n_jobs):
    """Answers about the tracks of each fold; those of folds that are done are read."""
    from genre_utils import training

    done = study / "folds_done" / GRID
    places = {fold: done / f"{fold:02d}-{key[:16]}.parquet" for fold in asked["fold"].unique()}
    left = asked[[not places[fold].exists() for fold in asked["fold"]]]
    jobs = left.merge(pd.DataFrame({"change": possible}), how="cross")
    found = _all_described(study, jobs, n_jobs)
    data, statistics = training.load(study), classical.Data(study)
    for fold, own in jobs.groupby("fold"):
        rows, asked = _asked(data, statistics, own, islice(found, len(own)))
        said = _said(study, fold, asked, statistics, names, homes)
        tables = [_by_track(rows, p, data.genres).assign(model=name) for name, p in said.items()]
        files.write_table(places[fold], pd.concat(tables, ignore_index=True))
    return [pd.read_parquet(place) for place in places.values()]


def _all_described(study, jobs, n_jobs):
    """What `described` gives for each track and change, in their order."""
    settings = {"desc": "changed clips", "unit": "clip", "n_jobs": n_jobs}
    pairs = list(jobs[["track_id", "change"]].itertuples(index=False, name=None))
    store = files.read_json(study / "features.json")
    if store["recipe"] is None:
        path = study / "features.npy"
        rows = pd.Index(pd.read_parquet(study / "features.parquet")["track_id"])
        calls = [(name, path, rows.get_loc(name), change, store) for name, change in pairs]
        return parallel.over(described_image, calls, len(calls), folder=study, **settings)
    folder = Path(files.read_json(study / "source.json")["folder"])
    paths = pd.read_parquet(study / "tracks.parquet").set_index("track_id")["path"]
    recipe = features.Recipe(**store["recipe"])
    calls = [(name, folder / paths[name], recipe, change, SEED) for name, change in pairs]
    return parallel.over(described, calls, len(calls), folder=folder, **settings)


def _asked(data, statistics, jobs, found):
    """What the excerpts of the tracks of a fold are, as they are and changed, and their inputs."""
    clean = (data.table["copy"] == 0) & data.table["track_id"].isin(jobs["track_id"])
    rows = [data.table.loc[clean, ["track_id"]].assign(change=CLEAN)]
    images = [data.excerpts[np.flatnonzero(clean)]]
    values = [statistics.x[statistics.table["track_id"].isin(jobs["track_id"])]]
    for job, (excerpts, summary, columns) in zip(jobs.itertuples(), found, strict=True):
        one = {"track_id": job.track_id, "change": job.change.label}
        rows.append(pd.DataFrame([one] * len(excerpts)))
        images.append(excerpts)
        values.append(pd.DataFrame(summary, columns=columns)[statistics.x.columns])
    inputs = {"log_mel": np.concatenate(images), "features": pd.concat(values).to_numpy(np.float32)}
    return pd.concat(rows, ignore_index=True), inputs


def _said(study, fold, asked, statistics, names, homes):
    """Probabilities of every excerpt by every model."""
    simple = [name for name in names if name in grids.CLASSICAL]
    said = {name: _classical(statistics, name, fold, asked["features"]) for name in simple}
    said |= {name: _network(*home, fold, asked) for name, home in homes.items()}
    if (study / "runs" / "ensemble.json").exists() and set(ensemble.MEMBERS) <= set(said):
        said["ensemble"] = sum(said[name] for name in ensemble.MEMBERS) / len(ensemble.MEMBERS)
    return said


def _classical(statistics, name, fold, x):
    """Probabilities by a classical model that is fitted to the fold's training rows."""
    train, _ = statistics.parts(fold)
    ids = statistics.table["track_id"].to_numpy()[train]
    splits.refuse_leakage(statistics.folds, fold, weights=ids)
    both = np.concatenate([statistics.x.to_numpy(), x])
    test = np.arange(len(statistics.x), len(both))
    y, group = statistics.y, statistics.group
    return classical.fit_predict(name, both, y, group, train, test, statistics.genres)


def _network(home, name, fold, asked):
    """Probabilities by the network of a fold, which never met the tracks that it tests."""
    import keras

    from genre_utils import models, training

    keras.backend.clear_session()
    network = training.fold_model(home, name, fold)
    seen = models.alone({key: asked[key] for key in models.reads(name)})
    return network.predict(seen, batch_size=256, verbose=0)


def _by_track(rows, probabilities, genres):
    """Genre named for each track under each change, from the mean over its excerpts."""
    columns = [f"p_{genre}" for genre in genres]
    table = rows.assign(**dict(zip(columns, np.asarray(probabilities, float).T, strict=True)))
    means = table.groupby(["change", "track_id"], sort=False, as_index=False)[columns].mean()
    return evaluation.most_probable(means)[["change", "track_id", "y_pred"]]


# ------------------------------------------------------------------------------------ comparing


def _right(study):
    """Record, and which answers are right, (tracks, (model, change)); None if nothing is stored."""
    found = grids.stored(study, GRID)
    if "all" not in found:
        return None
    record, answers = found["all"]
    answers = grids.with_right(answers, grids.genre_of(study))
    wide = answers.pivot_table("right", "track_id", ["model", "change"], aggfunc="first")
    return record, wide.astype(float)


def compare(study: Path) -> pd.DataFrame:
    """Accuracy of each model after each change, and its difference from the recording as it is.

    Returns
    -------
    pd.DataFrame
        model, question, change, value (how strong), accuracy, low, high, difference,
        difference_low, difference_high (95 % over artists), p_value (sign flips over
        artists), p_holm (Holm over all rows) and separable; what compares is empty for `CLEAN`,
        which comes first. Empty if nothing is stored.
    """
    found = _right(study)
    if found is None:
        return pd.DataFrame()
    record, right = found
    groups, rows = right.index.map(grids.group_of(study)), []
    of = {change.label: change for change in CHANGES}
    for model in _in_order(right, record["twin"]):
        table = grids.accuracies(right[model], groups)
        rows.append({"model": model, "question": "", "change": CLEAN} | dict(table.loc[CLEAN]))
        for label in [label for label in of if label in right[model]]:
            change = grids.difference(right[model][label], right[model][CLEAN], groups)
            row = {"model": model, "question": of[label].question, "change": label}
            row |= {"value": of[label].value} | dict(table.loc[label])
            row |= {"difference_low": change.pop("low"), "difference_high": change.pop("high")}
            rows.append(row | change)
    table = pd.DataFrame(rows)
    asked = table["p_value"].notna()
    judged = grids.judged(table[asked])
    return table.join(judged[["p_holm", "separable"]])


def _in_order(right, twins):
    """Models in the order of the study, the one with or without copies after its twin."""
    names = list(right.columns.unique("model"))
    rank = {name: k for k, name in enumerate(evaluation.MODEL_ORDER)}
    return sorted(names, key=lambda name: rank.get(name, rank.get(NETWORK, 0) + 0.5))


def copies_worth(study: Path) -> pd.DataFrame:
    """What training on changed copies is worth to the cnn, as recordings are and changed.

    Returns
    -------
    pd.DataFrame
        question, change, difference (with copies less without), low, high (95 % over
        artists), p_value, p_holm (Holm over all rows), separable. Empty if nothing is stored, or
        there are no recordings to change.
    """
    found = _right(study)
    if found is None or not set(found[0]["twin"]) <= set(found[1].columns.unique("model")):
        return pd.DataFrame()
    (copies, none), right = found[0]["twin"], found[1]
    groups = right.index.map(grids.group_of(study))
    labels = [CLEAN, *(change.label for change in CHANGES if change.label in right[none])]
    question = {change.label: change.question for change in CHANGES} | {CLEAN: ""}
    rows = [
        {"question": question[label], "change": label}
        | grids.difference(right[copies][label], right[none][label], groups)
        for label in labels
    ]
    return grids.judged(pd.DataFrame(rows))


def leading(table: pd.DataFrame) -> list[str]:
    """Up to four models to look at closely: the best as recordings are, the cnn twice, the SVM."""
    clean = table[table["change"] == CLEAN].set_index("model")["accuracy"]
    twins = [name for name in clean.index if name.startswith(f"{NETWORK}, ")]
    names = dict.fromkeys([clean.idxmax(), NETWORK, *twins, "svm"])
    return [name for name in names if name in clean]


def in_words(table: pd.DataFrame, names) -> str:
    """Say what `compare` found for the models `names`: what costs them most, and what nothing.

    Parameters
    ----------
    table : pd.DataFrame
    names : sequence of str
    """
    sentences = []
    for name in names:
        rows = table[(table["model"] == name) & (table["question"] != "")]
        lost = rows[rows["separable"].eq(True) & (rows["difference"] < 0)]
        if lost.empty:
            sentences.append(f"No change costs `{name}` a separable part of its accuracy.")
            continue
        worst = lost.sort_values("difference").iloc[0]
        values = worst[["difference"]].to_dict() | {
            "low": worst["difference_low"],
            "high": worst["difference_high"],
        }
        sentences.append(
            f"{len(lost)} of {len(rows)} changes cost `{name}` a separable part of its accuracy, "
            f"most of all {worst['change']}: {grids.points(values)}."
        )
    compared = int(table["p_value"].notna().sum())
    sentences.append(f"(All {compared} differences, of all models, were corrected together.)")
    return " ".join(sentences)


def copies_in_words(table: pd.DataFrame) -> str:
    """Say what `copies_worth` found."""
    clean, changed = table[table["change"] == CLEAN].iloc[0], table[table["change"] != CLEAN]
    parts = [f"To recordings as they are, changed copies are worth {grids.points(clean)}"]
    for verb, rows in (
        ("gain", changed[changed["separable"] & (changed["difference"] > 0)]),
        ("loss", changed[changed["separable"] & (changed["difference"] < 0)]),
    ):
        told = "; ".join(
            f"{row.change}, {grids.points(row._asdict())}" for row in rows.itertuples()
        )
        parts.append(f"a separable {verb} under {told}" if told else f"no separable {verb}")
    return f"{parts[0]}. Of {len(changed)} changes there is {parts[1]}, and {parts[2]}."
