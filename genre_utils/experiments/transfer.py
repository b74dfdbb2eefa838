"""Train on one corpus, test on another: what was learned about music, and what about a corpus.

A study's recordings are brought to the recipe of a store of ready spectrograms, so that both look
the same to a model. Then models learn from all of one corpus and are tested on all of the other.
"""

import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.data import auditing, corpora, folders, splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import measurements
from genre_utils.features import audio, store
from genre_utils.models import classical
from genre_utils.workspace import files, model_names, parallel

GRID = "transfer"
NAMES = ("svm", "logistic", "cnn", "rnn", "hybrid", "mlp")
WITHIN_FOLDS = 5  # of the cross-validation within each corpus, that transfer is compared with
SECONDS = 30.0  # of music in a row of the store
FRAMES, MELS = 334, 128  # of a row of the store
FLOOR_DB = 40.0  # below the loudest point, where its pictures end
LEVELS = 255  # steps of grey that they hold
SAME = 0.5  # share of the artists of a store above which it is taken for the corpus itself
VERSION = 1  # of what is measured: another one is measured anew


def as_in_store(y: np.ndarray, sr: int) -> np.ndarray:
    """Log-mel spectrogram of a recording, made as those of the GTZAN store are.

    They were published as pictures of 334 by 128 points; the recipe was found by fitting it to
    tracks whose sound is known, and is close but not exact (median correlation 0.96): no padding,
    40 dB of range, the nearest of the frames for each column, 8 bits.

    Parameters
    ----------
    y : np.ndarray, shape (n,)
        The whole clip, which a row spans; repeated until it lasts 30 s, if it is shorter.
    sr : int
        Sample rate in Hz.

    Returns
    -------
    np.ndarray, shape (334, 128), float16
    """
    import librosa

    y = np.resize(y, max(len(y), round(SECONDS * sr)))
    power = librosa.feature.melspectrogram(
        y=y, sr=sr, n_fft=2048, hop_length=1024, n_mels=MELS, center=False
    )
    level = librosa.power_to_db(power, ref=np.max, top_db=FLOOR_DB) / FLOOR_DB + 1.0
    count = level.shape[1]
    columns = np.minimum((np.arange(FRAMES) + 1.5) * count / FRAMES, count - 1).astype(int)
    return (np.round(level[:, columns].T * LEVELS) / LEVELS).astype(np.float16)


def _converted(_, path):
    return as_in_store(*audio.load_clip(path, seconds=SECONDS))


def obstacle(study: Path, other: Path) -> str:
    """Why a study cannot be compared with the store in the folder `other`; empty if it can."""
    if not measurements.has_audio(study):
        return (
            "recordings are needed, to be brought to the recipe of the other corpus "
            "(`--profile demo-full` does it with composed ones)"
        )
    if not (other / "log_mel.npy").exists():
        return f"there is no store of spectrograms {other.name!r} in the folder of corpora"
    found = corpora.find_tracks("store", other)
    if len(genres := _common(study, found)) < 2:
        return f"the two corpora have {len(genres)} genres in common"
    ours = set(pd.read_parquet(study / "tracks.parquet")["artist"].str.casefold())
    if np.isin(found["artist"].str.casefold().unique(), list(ours)).mean() > SAME:
        return f"most artists of {other.name} are in this corpus: it seems to be the same music"
    return measurements.one_look(study)


def _common(study, found):
    genres = files.read_json(study / "corpus.json")["genres"]
    return [genre for genre in genres if (found["genre"] == genre).any()]


def estimate(study: Path, *, seeds: int = 3) -> float:
    """Seconds that `measure` takes, from what a fold took in the study."""
    folds = 2 * seeds + 2 * WITHIN_FOLDS
    return 60 + folds * sum(
        measurements.seconds_a_fold(study, n) for n in measurements.trained(study, NAMES)
    )


def measure(study: Path, other: Path, *, seeds: int = 3, n_jobs: int = -1) -> None:
    """Train on all of one corpus and test on all of the other, both ways; resumable at the fold.

    Beside that, both corpora are cross-validated by artist in the same representation, so that what
    the step to other music costs can be told from what the representation costs.

    Parameters
    ----------
    study : Path
        With recordings. ``predictions/transfer/NAME.parquet`` and ``.json`` are written for those
        of `NAMES` that it has trained, with its settings.
    other : Path
        A store with the recipe of `as_in_store`.
    seeds : int
        How often a network is trained, from other initial weights, to be tested on the other.
    n_jobs : int
        Processes that convert recordings; -1 for one per core.

    Raises
    ------
    ValueError
        If the corpora cannot be compared (see `obstacle`), or the store has another recipe.
    """
    if why := obstacle(study, other):
        raise ValueError(f"nothing can be transferred: {why}.")
    shape = np.load(other / "log_mel.npy", mmap_mode="r").shape[1:]
    if shape != (FRAMES, MELS):
        raise ValueError(
            f"{other} holds spectrograms of {shape}, not of {FRAMES, MELS}: they were made by "
            "another recipe than the one that recordings can be brought to here."
        )
    content = files.file_md5(other / "log_mel.npy"), files.file_md5(other / "tracks.csv")
    base = files.sha256(measurements.inputs(study), content, seeds, WITHIN_FOLDS, VERSION)
    left = {}
    for name in measurements.trained(study, NAMES):
        key = files.sha256(base, measurements.made_by(study, name))
        if not measurements.is_stored(study, GRID, name, key):
            left[name] = key
    if not left:
        return
    folder = study / "folds_done" / GRID
    labels = label_of(study), other.name
    _prepare(study, other, folder, base, labels, n_jobs)
    for name, key in left.items():
        answers = _measured(study, folder, name, labels, seeds)
        measurements.store(study, GRID, name, key, answers, model=name, corpora=labels)
    shutil.rmtree(folder)  # over a hundred megabytes that can be made again


def label_of(study: Path) -> str:
    """What to call the corpus of a study."""
    described = files.read_json(study / "corpus.json")
    return "composed" if described["synthetic"] else described["name"]


def _prepare(study, other, folder, key, labels, n_jobs):
    """Write the features of both corpora, and what is known of their tracks, as a study does."""
    done = folder / "key.json"
    if done.exists() and files.read_json(done) == key:
        return
    described = files.read_json(study / "corpus.json")
    seconds = files.read_json(study / "features.json")["recipe"]["excerpt_seconds"]
    found = corpora.find_tracks("store", other)
    genres = _common(study, found)
    found = found[found["genre"].isin(genres)].reset_index(drop=True)
    arrays = folders.load_arrays(other, found["track_id"])
    theirs = auditing.audit_store(found, arrays, clip_seconds=SECONDS)
    ours = pd.read_parquet(study / "tracks.parquet")
    tables, images = [], [_images(study, ours, genres, n_jobs), arrays[theirs["status"] == "used"]]
    for label, table in zip(labels, (ours, theirs), strict=True):
        used = table[(table["status"] == "used") & table["genre"].isin(genres)].copy()
        used["track_id"] = label + ": " + used["track_id"]
        unknown = used["artist"].str.startswith("unknown:")
        used.loc[unknown, "artist"] = "unknown:" + used["track_id"]
        tables.append(used.assign(corpus=label))
    tracks = pd.concat(tables, ignore_index=True)
    options = {"clip_seconds": SECONDS, "excerpt_seconds": seconds}
    store.extract_from_store(tracks, np.concatenate(images), folder, **options)
    files.write_table(folder / "tracks.parquet", tracks)
    files.write_table(folder / "folds.parquet", _folds(tracks, *labels))
    files.write_json(folder / "corpus.json", described | {"genres": genres})
    files.write_json(done, key)  # last: it says that all is there


def _images(study, tracks, genres, n_jobs):
    """Spectrograms of a study's recordings as a store has them, (tracks, frames, mels)."""
    music = Path(files.read_json(study / "source.json")["folder"])
    used = tracks[(tracks["status"] == "used") & tracks["genre"].isin(genres)]
    jobs = [(row.track_id, music / row.path) for row in used.itertuples()]
    settings = {"desc": "spectrograms", "unit": "clip", "folder": music, "n_jobs": n_jobs}
    return np.stack(list(parallel.over(_converted, jobs, len(jobs), **settings)))


def _folds(tracks, learned, tested):
    """Folds that train on one corpus and test another: one, or a cross-validation within it.

    A training track whose artist is in the tested corpus as well is left out.
    """
    if learned == tested:
        own = tracks[tracks["corpus"] == learned]
        return splits.make_folds(own, folds=WITHIN_FOLDS, group_by="artist", seed=0)
    part = tracks["corpus"].map({learned: "train", tested: "test"})
    return splits.fixed_folds(
        tracks.assign(split=part), report_on="test", group_by="artist", seed=0
    )


def _measured(study, folder, name, labels, seeds):
    """Answers of a model to each corpus, having learned from each."""
    tracks, tables = pd.read_parquet(folder / "tracks.parquet"), []
    for learned, tested in product(labels, labels):
        folds = _folds(tracks, learned, tested)
        group = scoring.groups_of(folds)
        repeats = 1 if learned == tested or name in measurements.CLASSICAL else seeds
        for repeat in range(repeats):
            label = f"{name}, {learned} to {tested}"
            found = _predictions(study, folder, name, folds, repeat, label)
            said = scoring.track_probabilities(found)[["track_id", "y_true", "y_pred"]]
            how = {"learned": learned, "tested": tested, "seed": repeat}
            tables.append(said.assign(group=said["track_id"].map(group), **how))
    return pd.concat(tables, ignore_index=True)


def _predictions(study, folder, name, folds, repeat, label):
    if name in measurements.CLASSICAL:
        data = classical.Data(folder)
        data.folds = folds
        data.group = data.table["track_id"].map(scoring.groups_of(folds)).to_numpy()
        return classical.predict_folds(data, name)[0]
    from genre_utils.models import cross_validation, training_data

    settings, options = measurements.settings_of(study, name)
    options["seed"] += repeat
    data = training_data.load_data(folder, folds)
    return cross_validation.out_of_fold(folder, name, data, settings, label=label, **options)[0]


def compare(study: Path) -> pd.DataFrame:
    """Accuracy of whole tracks for each pair of corpora, and what learning from the other costs.

    Returns
    -------
    pd.DataFrame
        model, learned, tested (corpora), tracks, guess (one over the genres), accuracy (mean over
        the seeds), low, high, and, where the corpora differ, difference (from cross-validation
        within the tested corpus, on the same tracks), difference_low, difference_high (95 %,
        over artists), p_value (sign flips over artists), p_holm (Holm over all rows) and
        separable. Empty if nothing is stored.
    """
    rows = []
    for model, answers in _in_order(measurements.stored(study, GRID, elsewhere=True)):
        answers = answers.assign(right=(answers["y_pred"] == answers["y_true"]).astype(float))
        for tested, own in answers.groupby("tested", sort=False):
            wide = own.pivot_table("right", ["track_id", "group"], ["learned", "seed"])
            groups = wide.index.get_level_values("group")
            mean = wide.T.groupby(level="learned", sort=False).mean().T
            for learned, row in measurements.accuracies(mean, groups).iterrows():
                rows.append({"model": model, "learned": learned, "tested": tested, **row})
                rows[-1] |= {"tracks": len(wide), "guess": 1 / own["y_true"].nunique()}
                if learned != tested:
                    inside = pd.concat([wide[tested][0]] * wide[learned].shape[1], axis=1)
                    change = measurements.difference(wide[learned], inside, groups)
                    limits = {f"difference_{end}": change.pop(end) for end in ("low", "high")}
                    rows[-1] |= change | limits
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    judged = measurements.judged(table[table["p_value"].notna()])
    return table.join(judged[["p_holm", "separable"]])


def _in_order(found):
    place = model_names.MODEL_ORDER.index
    pairs = [(record["model"], answers) for record, answers in found.values()]
    return sorted(pairs, key=lambda pair: place(pair[0]))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`compare` as a table to be read: a row for each model and tested corpus."""
    rows = []
    for (model, tested), own in table.groupby(["model", "tested"], sort=False):
        row = {"model": model, "tested on": tested}
        for one in own.sort_values("learned", key=lambda names: names != tested).itertuples():
            how = "within it" if one.learned == tested else "learned from the other"
            row[how] = f"{one.accuracy:.2f} [{one.low:.2f}, {one.high:.2f}]"
        across = own[own["learned"] != tested].iloc[0]
        limits = across[["difference", "difference_low", "difference_high"]] * 100
        row["points lost"] = "{:+z.0f} [{:+z.0f}, {:+z.0f}]".format(*limits)
        row["p (Holm)"] = across["p_holm"]
        rows.append(row)
    return pd.DataFrame(rows)
