"""Train on one corpus, test on another: what was learned about music, and what about a corpus."""

import shutil
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.data import artists, auditing, corpora, folders, splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import measurements
from genre_utils.features import audio, store
from genre_utils.plots import formatting
from genre_utils.workspace import files, model_names, parallel
from genre_utils.workspace.study_folder import StudyFolder

GRID = "transfer"
NAMES = ("svm", "logistic", "cnn", "rnn", "hybrid", "mlp")
WITHIN_FOLDS = 5  # of the cross-validation within each corpus, that transfer is compared with
SECONDS = 30.0  # of music in a row of the store
FRAMES, MELS = 387, 128  # of a row of the store
SAME = 0.5  # share of the artists of a store above which it is taken for the corpus itself
SEEDS = 3  # initial weights of a network that is tested on the other corpus
ARRAYS = "log_mel.npy"  # of a store


def _converted(_, path):
    """A clip, repeated until it lasts 30 s, as a row of `gtzan_mel80`, (frames, mels)."""
    import librosa

    y, sr = audio.load_clip(path, seconds=SECONDS)
    bank = librosa.filters.mel(sr=sr, n_fft=2048, n_mels=MELS)
    return audio.store_image(np.resize(y, round(SECONDS * sr)), bank, FRAMES).T.astype(np.float16)


def obstacle(study: StudyFolder, other: Path) -> str:
    """Why a study cannot be compared with the spectrograms in folder `other`; empty if it can."""
    if not measurements.has_audio(study):
        return "recordings are needed, for they alone can follow another recipe (see `demo-full`)"
    if not (other / ARRAYS).exists():
        return f"there are no spectrograms {other.name!r} in the folder of corpora"
    shape = np.load(other / ARRAYS, mmap_mode="r").shape[1:]
    if shape != (FRAMES, MELS):
        return f"{other} holds spectrograms of {shape}, by another recipe than {FRAMES, MELS}"
    found = corpora.find_tracks("spectrograms", other)
    if len(genres := _common(study, found)) < 2:
        return f"the two corpora have {len(genres)} genres in common"
    ours = set(study.tracks["artist"].str.casefold())
    if np.isin(found["artist"].str.casefold().unique(), list(ours)).mean() > SAME:
        return f"most artists of {other.name} are in this corpus: it seems to be the same music"
    return measurements.obstacle(study)


def _common(study, found):
    return [genre for genre in study.genres if (found["genre"] == genre).any()]


def estimate(study: StudyFolder) -> float:
    """Seconds that `measure` takes, from what a fold took in the study."""
    return 60 + measurements.seconds(study, NAMES, 2 * SEEDS + 2 * WITHIN_FOLDS)


def measure(study: StudyFolder, other: Path) -> None:
    """Train on all of one corpus and test on all of the other, both ways; resumable at the fold.

    Measured are those of `NAMES` that the study, which needs recordings, has trained, with its
    settings; `other` is a store with the recipe of `audio.store_image`. Both corpora are
    cross-validated by artist in the same representation, too: what that costs is no part of what
    the step to other music costs. A ValueError says what stands in the way (see `obstacle`).
    """
    there = [path for path in (other / ARRAYS, other / "tracks.csv") if path.exists()]
    content = [files.file_md5(path) for path in there]
    decides = {n: [content, made] for n, made in measurements.made(study, NAMES).items()}
    left = measurements.left(study, GRID, decides, lambda study: obstacle(study, other))
    if not left:
        return
    corpus = study.corpus
    labels = "composed" if corpus["synthetic"] else corpus["name"], other.name
    key = files.sha256(measurements.base(study, GRID), content)
    both = _prepare(study, other, key, labels)
    for name, key in left.items():
        predictions = _measured(study, both, name, labels)
        measurements.store(study, GRID, name, key, predictions, model=name, corpora=labels)
    shutil.rmtree(both.path)  # over a hundred megabytes that can be made again


def _prepare(study, other, key, labels):
    """A study of both corpora: their features, and what is known of their tracks."""
    both = study.derived(GRID)
    if both.key.exists() and files.read_json(both.key) == key:
        return both
    found = corpora.find_tracks("spectrograms", other)
    genres = _common(study, found)
    found = found[found["genre"].isin(genres)].reset_index(drop=True)
    arrays = folders.load_arrays(other, found["track_id"])
    theirs = auditing.audit_spectrograms(found, arrays, clip_seconds=SECONDS)
    ours = study.tracks[study.tracks["genre"].isin(genres)].query("status == 'used'")
    images = np.concatenate([_images(study, ours), arrays[theirs["status"] == "used"]])
    pair = ours, theirs.query("status == 'used'")
    tables = [table.assign(corpus=label) for label, table in zip(labels, pair, strict=True)]
    tracks = pd.concat(tables, ignore_index=True)
    tracks["track_id"] = tracks["corpus"] + ": " + tracks["track_id"]
    unknown = tracks["artist"].str.startswith("unknown:")
    tracks.loc[unknown, "artist"] = "unknown:" + tracks["track_id"]
    if "group" in tracks:  # one of the two may not have it
        tracks["group"] = tracks["group"].fillna("")
    tracks["group"] = artists.groups_of(tracks, "artist")  # over both: each has one name
    length = study.features["recipe"]["excerpt_seconds"]
    store.extract_from_store(tracks, images, both, clip_seconds=SECONDS, excerpt_seconds=length)
    both.write(tracks=tracks, folds=_folds(tracks, *labels))
    both.write(corpus=study.corpus | {"genres": genres})
    files.write_json(both.key, key)
    return both


def _images(study, tracks):
    """Spectrograms of a study's recordings as a store has them, (tracks, frames, mels)."""
    music = Path(study.source["folder"])
    jobs = [(row.track_id, music / row.path) for row in tracks.itertuples()]
    how = {"desc": "spectrograms", "unit": "clip", "folder": music, "n_jobs": measurements.JOBS}
    return np.stack(list(parallel.over(_converted, jobs, len(jobs), **how)))


def _folds(tracks, learned, tested):
    """Folds that train on one corpus, less artists of the other, and test that; or within one."""
    how = {"group_by": "artist", "seed": 0}
    if learned == tested:
        return splits.make_folds(tracks[tracks["corpus"] == learned], folds=WITHIN_FOLDS, **how)
    part = tracks["corpus"].map({learned: "train", tested: "test"})
    return splits.fixed_folds(tracks.assign(split=part), report_on="test", **how)


def _measured(study, both, name, labels):
    """Predictions of a model for each corpus, having learned from each."""
    tables = []
    for learned, tested in product(labels, labels):
        folds = _folds(both.tracks, learned, tested)
        group = scoring.groups_of(folds)
        once = learned == tested or name in model_names.CLASSICAL
        for repeat in range(1 if once else SEEDS):
            how = {"label": f"{name}, {learned} to {tested}", "data_of": both, "repeat": repeat}
            predictions = measurements.predict(study, name, folds, **how)
            table = scoring.track_probabilities(predictions)[["track_id", "y_true", "y_pred"]]
            table = table.assign(group=table["track_id"].map(group), learned=learned)
            tables.append(table.assign(tested=tested, seed=repeat))
    return pd.concat(tables, ignore_index=True)


def compare(study: StudyFolder) -> pd.DataFrame:
    """Accuracy of whole tracks for each pair of corpora, and what learning from the other costs.

    Gives model, learned, tested (corpora), tracks, guess (one over the genres), accuracy (mean over
    the seeds), low, high, and, where the corpora differ, difference (from cross-validation within
    the tested corpus, on the same tracks), difference_low, difference_high (95 %, over artists),
    p_value (sign-flip permutation test over artists), p_holm (Holm over all rows) and separable.
    Empty if nothing is stored.
    """
    refuse = partial(measurements.refuse_foreign, elsewhere=True)
    rows = []
    for record, predictions in measurements.by_model(study, GRID, refuse):
        for tested, own in predictions.groupby("tested", sort=False):
            truth = own.drop_duplicates("track_id").set_index("track_id")["y_true"]
            wide = measurements.correct(own, truth, ["track_id", "group"], ["learned", "seed"])
            groups = wide.index.get_level_values("group")
            row = {"model": record["model"], "tested": tested, "tracks": len(wide)}
            row["guess"] = 1 / truth.nunique()
            for learned, accuracy in measurements.accuracies(wide, groups, "learned").iterrows():
                rows.append(row | {"learned": learned, **accuracy})
                if learned != tested:
                    rows[-1] |= measurements.change(wide[learned], wide[tested], groups)
    return measurements.judged(pd.DataFrame(rows))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`compare` as a table to be read: a row for each model and tested corpus."""
    limits = zip(table["accuracy"], table["low"], table["high"], strict=True)
    table = table.assign(text=[formatting.as_text(value, ends) for value, *ends in limits])
    inside = table["learned"] == table["tested"]
    keys, across = ["model", "tested"], table[~inside]
    within = table[inside].set_index(keys)["text"].loc[across.set_index(keys).index]
    columns = {"model": across["model"], "tested on": across["tested"]}
    columns |= {"within it": within.to_numpy(), "learned from the other": across["text"]}
    return measurements.readable(across, columns, "difference_low", "difference_high")
