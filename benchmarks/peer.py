"""Accuracy against training time: our network beside a published one, on the same tracks.

    python benchmarks/run.py peer                                     # all, one after the other
    taskset -c 0,1 python benchmarks/peer.py --only peer --seed 1 --json part1.json
    python benchmarks/peer.py --merge part*.json --json peer.json     # trains nothing

The peer is the network of the open Keras project gtzan.keras (github.com/Hguimaraes/gtzan.keras),
written anew from its description: five blocks of 3x3 convolution (16 to 256 filters, ReLU), 2x2 max
pooling and dropout of 0.25, a dense layer of 512, dropout of 0.5 and softmax, 2.5 million
parameters. It sees windows of 128 frames by 128 mel bands that overlap by half, is trained with
Adam in batches of 32, and the windows of a track vote; of genres with equal votes, the one with the
higher mean probability wins. Left out is what the project changed between its versions: the change
of windows in training, the penalty on weights, and the learning rate that falls. Its windows span
1.5 s, these as long as 128 frames of the store are.

Both are trained on the same tracks, and stopped by the same rule on the same others: no better
validation loss for some epochs, then the weights of the best one. The peer is also trained for all
of its 150 epochs, and beside that the network of ours that does best elsewhere, for the epochs that
are its own; neither learns from the tracks that would stop it. Tracks of the part `valid` are never
read: the parts are made by artist from the tracks whose split is `train`. Settings and features of
ours were developed on other splits of the same tracks: the peer had no such help.

What was measured is kept in the JSON file after each training, and is not measured again as long as
settings, data, code and machine are the same. Others of its trainings are replaced. Parts that were
measured apart are merged if they are of the same data, code, versions, processor and threads: times
compare only so, and only if each part had its cores for itself (`taskset`). Whoever merges sees to
it that this file trained them alike: its own text is part of what is kept, not of what is merged.
"""

import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it tells of its start-up otherwise

import keras
import measuring
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from genre_utils.data import auditing, corpora, folders, splits
from genre_utils.evaluation import comparisons, intervals, scoring, study_results
from genre_utils.features import store
from genre_utils.models import cost, hyperparameters, training, training_data
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder

CLIP_SECONDS, EXCERPT_SECONDS = 30.0, 6.0
SIZE = 128  # frames and mel bands of a window of the peer
BATCH = 32
SPLITS = 20  # seeds that a split is sought among
KINDS = ("model", "peer", "best", "full")  # ours and the peer, stopped; and in full
BEST = "fusion"  # of our networks, in reports/gtzan-mel


# ---------------------------------------------------------------------------- data


def prepare(folder: Path, study: StudyFolder) -> pd.DataFrame:
    """Write a study of the tracks whose split is `train`, and return its one fold."""
    found = corpora.find_tracks("spectrograms", folder)
    found = found[found["split"] == "train"].reset_index(drop=True)
    if found.empty:
        raise ValueError(f"{folder}/tracks.csv has no track whose split is 'train'.")
    log_mel = folders.load_arrays(folder, found["track_id"])
    tracks = auditing.audit_spectrograms(found, log_mel, clip_seconds=CLIP_SECONDS)
    used = tracks["status"] == "used"
    store.extract_from_store(
        tracks[used].reset_index(drop=True),
        log_mel[used.to_numpy()],
        study,
        clip_seconds=CLIP_SECONDS,
        excerpt_seconds=EXCERPT_SECONDS,
    )
    genres = sorted(tracks.loc[used, "genre"].unique())
    folds = balanced_split(tracks[used])
    settings = {"corpus": "spectrograms", "group_by": "artist", "protocol": "fixed", "warnings": []}
    corpus = corpora.describe(tracks, folds, genres, **settings)
    study.write(corpus=corpus, tracks=tracks, folds=folds)
    return folds


def balanced_split(tracks: pd.DataFrame) -> pd.DataFrame:
    """Training, validation and test part by artist, in which the rarest genre is least rare.

    Of the folds of `SPLITS` seeds, a quarter of the tracks tested in each, that with the most
    tracks of the genre that its validation or test part has fewest of; of equal ones the first.
    """
    most, best = -1, None
    for seed in range(SPLITS):
        folds = splits.make_folds(tracks, folds=4, group_by="artist", seed=seed)
        genre = folds["track_id"].map(tracks.set_index("track_id")["genre"])
        counts = pd.crosstab([folds["fold"], folds["part"]], genre).drop("train", level="part")
        fewest = counts.min(axis=1).groupby(level="fold").min()
        if fewest.max() > most:
            most, best = fewest.max(), folds[folds["fold"] == fewest.idxmax()]
    return best.assign(fold=0).reset_index(drop=True)


def windows(log_mel: np.ndarray) -> np.ndarray:
    """Windows that overlap by half: (tracks, frames, mels) -> (tracks, windows, 128, 128)."""
    frames, mels = log_mel.shape[1:]
    if frames < SIZE or mels != SIZE:
        raise ValueError(f"the peer needs {SIZE} mel bands and frames, not {mels} and {frames}.")
    starts = range(0, frames - SIZE + 1, SIZE // 2)
    return np.stack([log_mel[:, start : start + SIZE] for start in starts], axis=1)


# ---------------------------------------------------------------------------- networks


def build_peer(genres: int) -> keras.Model:
    """The peer's network, not yet compiled."""
    layers = keras.layers
    inputs = keras.Input((SIZE, SIZE), name="log_mel")
    x = layers.Reshape((SIZE, SIZE, 1))(inputs)
    for filters in (16, 32, 64, 128, 256):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Dropout(0.25)(x)
    x = layers.Dense(512, activation="relu")(layers.Flatten()(x))
    outputs = layers.Dense(genres, activation="softmax")(layers.Dropout(0.5)(x))
    return keras.Model(inputs, outputs, name="peer")


def train_peer(
    data: training_data.Data, study: StudyFolder, *, epochs: int, seed: int, stopping: bool
):
    """Train the peer on the windows of the training part; return it and its history."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed * 1000)
    tf.config.experimental.enable_op_determinism()
    model = build_peer(len(data.genres))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    options = {}
    if stopping:
        stop = keras.callbacks.EarlyStopping(
            monitor="val_loss", patience=training.PATIENCE, restore_best_weights=True
        )
        _, *held_out = part_windows(data, study, "validation")
        options = {"callbacks": [stop], "validation_data": tuple(held_out)}
    _, cut, labels = part_windows(data, study, "train")
    fitted = model.fit(cut, labels, batch_size=BATCH, epochs=epochs, verbose=0, **options)
    return model, fitted.history


def predict_peer(model: keras.Model, data: training_data.Data, study: StudyFolder) -> pd.DataFrame:
    """Predict the windows of the test part, as `training.predict` does excerpts."""
    ids, cut, labels = part_windows(data, study, "test")
    count = len(cut) // len(ids)
    table = pd.DataFrame({"track_id": np.repeat(ids, count), "fold": 0})
    table["excerpt"] = np.tile(np.arange(count), len(ids))
    table["y_true"] = [data.genres[k] for k in labels.argmax(axis=1)]
    table[[f"p_{genre}" for genre in data.genres]] = model.predict(cut, batch_size=256, verbose=0)
    return table


def part_windows(data: training_data.Data, study: StudyFolder, part: str):
    """Track ids of a part, and the windows of these tracks with their labels."""
    ids = study.excerpts["track_id"].to_numpy()
    rows = np.flatnonzero(data.folds.set_index("track_id")["part"][ids] == part)
    genre = study.genre_of
    cut = windows(study.log_mel[rows])
    y = np.repeat(genre[ids[rows]].map(data.genres.index), cut.shape[1])
    return ids[rows], np.concatenate(cut), np.eye(len(data.genres), dtype=np.float32)[y]


def majority(predictions: pd.DataFrame) -> pd.DataFrame:
    """Genre that most windows of each track vote for; the mean probability breaks ties."""
    tracks = scoring.track_probabilities(predictions)
    genres = [name.removeprefix("p_") for name in scoring.probability_columns(tracks)]
    votes = scoring.most_probable(predictions)
    votes = pd.crosstab(votes["track_id"], votes["y_pred"])
    votes = votes.reindex(index=tracks["track_id"], columns=genres, fill_value=0).to_numpy()
    means = tracks[scoring.probability_columns(tracks)].to_numpy()
    winner = (votes + means / 2).argmax(axis=1)  # half a mean is less than one vote
    return tracks.assign(y_pred=[genres[k] for k in winner])


# ---------------------------------------------------------------------------- measuring


def planned(name: str, seeds: int, epochs: int, full: int) -> list[dict]:
    """The trainings that are asked for, networks taking turns."""
    plan = [
        {"network": network, "seed": seed, "max_epochs": epochs, "stopping": True}
        for seed in range(seeds)
        for network in (name, "peer")
    ]
    if full:
        plan.append({"network": "peer", "seed": 0, "max_epochs": full, "stopping": False})
        own = {"max_epochs": hyperparameters.DEFAULTS[BEST].fixed_epochs, "stopping": False}
        plan += [{"network": BEST, "seed": seed} | own for seed in range(seeds)]
    return plan


def chosen(plan: list[dict], only: str | None, seed: int | None) -> list[dict]:
    """The trainings of one kind (see `kind_of`) and of one seed, if they are given."""
    return [run for run in plan if only in (None, kind_of(run)) and seed in (None, run["seed"])]


def kind_of(run: dict) -> str:
    """Name of a training's kind: ours or the peer, stopped by the common rule or not."""
    ours = run["network"] != "peer"
    return KINDS[2 * (not run["stopping"]) + (not ours)]


def key_of(run: dict, data: training_data.Data, machine: dict) -> str:
    """Hash of everything that decides the outcome of a training, and its time."""
    hashes = dict(data.hashes)
    if run["network"] == "peer":
        del hashes["code"]  # of our networks: the peer's is in this file
    here = Path(__file__).read_bytes()
    return files.sha256(run, settings_of(run), hashes, training.PATIENCE, machine, here)


def settings_of(run: dict) -> dict:
    """Hyperparameters of a training; those of the peer are as published."""
    if run["network"] == "peer":
        return {"learning_rate": 0.001, "batch_size": BATCH, "optimizer": "adam"}
    return hyperparameters.DEFAULTS[run["network"]].as_json()


def measure(run: dict, data: training_data.Data, study: StudyFolder) -> dict:
    """Train once; return what it took, and which tracks were not recognised."""
    wall, cpu = time.perf_counter(), time.process_time()
    settings = {"epochs": run["max_epochs"], "seed": run["seed"]}
    if kind_of(run) == "best":
        data = training_data.load_data(study, data.folds[data.folds["part"] != "validation"])
    if run["network"] == "peer":
        model, history = train_peer(data, study, stopping=run["stopping"], **settings)
    else:
        name = run["network"]
        model, history = training.train_fold(
            data, 0, name, hyperparameters.DEFAULTS[name], **settings
        )
    took = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    if run["network"] == "peer":
        predictions = predict_peer(model, data, study)
        answers = majority(predictions)
    else:
        rows = data.rows(0)["test"]
        predictions = training.predict(model, data, rows, 0)
        answers = scoring.track_probabilities(predictions)
    pieces = len(predictions) / len(answers)
    epochs = len(history["loss"])
    return {
        "hyperparameters": settings_of(run),
        **{name: round(value, 2) for name, value in took.items()},
        "epochs": epochs,
        "best_epoch": int(np.argmin(history["val_loss"])) + 1 if run["stopping"] else epochs,
        "parameters": model.count_params(),
        "multiply_adds": cost.multiply_adds(model),
        "multiply_adds_per_second_of_music": cost.multiply_adds(model) * pieces / CLIP_SECONDS,
        "wrong": _wrong(answers),
        "wrong_by_mean_probability": _wrong(scoring.track_probabilities(predictions)),
    }


def _wrong(answers):
    return answers.loc[answers["y_true"] != answers["y_pred"], "track_id"].tolist()


def label(run: dict) -> str:
    """Name of a training in tables."""
    how = f"{run['max_epochs']} epochs" if kind_of(run) == "full" else f"seed {run['seed']}"
    return f"{run['network']}, {how}"


def scored(runs: list[dict], groups: pd.Series) -> list[dict]:
    """The trainings with their accuracy of whole tracks, and its interval over artists."""
    correct = answers_of(runs, groups)
    numbers = [
        {
            "accuracy": correct[label(run)].mean(),
            "ci95": intervals.accuracy_interval(correct[label(run)], groups),
            "accuracy_by_mean_probability": 1 - len(run["wrong_by_mean_probability"]) / len(groups),
        }
        for run in runs
    ]
    return files.plain([run | more for run, more in zip(runs, numbers, strict=True)])


def answers_of(runs: list[dict], groups: pd.Series) -> pd.DataFrame:
    """Whether each training recognised each test track: bool, (tracks, trainings)."""
    return pd.DataFrame({label(run): ~groups.index.isin(run["wrong"]) for run in runs})


def compared(runs: list[dict], groups: pd.Series) -> list[dict]:
    """Paired differences in accuracy, ours less the peer's: over all seeds, in full, by seed."""
    of = {kind: {r["seed"]: label(r) for r in runs if kind_of(r) == kind} for kind in KINDS}
    seeds = sorted(of["model"].keys() & of["peer"].keys())
    ours, theirs = ([of[kind][seed] for seed in seeds] for kind in ("model", "peer"))
    full, best = [*of["full"].values()], [*of["best"].values()]
    pairs = [(ours, theirs), (ours, full), (best, full)]
    pairs += [([a], [b]) for a, b in zip(ours, theirs, strict=True) if len(seeds) > 1]
    correct = answers_of(runs, groups)
    return files.plain([_difference(correct, groups, a, b) for a, b in pairs if a and b])


def _difference(correct, groups, a, b):
    """Difference of the mean accuracies of trainings `a` and `b`, on the same tracks."""
    means = np.column_stack([correct[a].mean(axis=1), correct[b].mean(axis=1)])
    sums = correct[a].sum(axis=1) * len(b), correct[b].sum(axis=1) * len(a)  # integers, as it asks
    return {
        "a": a,
        "b": b,
        "difference": means[:, 0].mean() - means[:, 1].mean(),
        "ci95": intervals.difference_interval(*means.T, groups),
        "p_value": comparisons.sign_flip_test(*sums, groups),
        "test": "sign-flip permutation over artists",
    }


def described_split(folds: pd.DataFrame, tracks: pd.DataFrame) -> dict:
    """Sizes of the parts, and group of each test track."""
    named = folds.assign(genre=folds["track_id"].map(tracks.set_index("track_id")["genre"]))
    test = named[named["part"] == "test"].sort_values("track_id")
    return {
        "tracks": named["part"].value_counts().sort_index().to_dict(),
        "artists": named.groupby("part")["group"].nunique().to_dict(),
        "genres": pd.crosstab(named["part"], named["genre"]).to_dict("index"),
        "test": dict(zip(test["track_id"], test["group"], strict=True)),
    }


def benchmark(folder: Path, plan: list[dict], threads: int, path: Path | None) -> dict:
    """Do the trainings of a plan that `path` does not hold yet; keep each as it is done."""
    machine = study_results.environment() | {"threads": threads}
    stored = files.read_json(path)["runs"] if path and path.exists() else []
    stored = {run["key"]: run for run in stored}
    with tempfile.TemporaryDirectory() as name:
        study = StudyFolder(name)
        started = time.perf_counter()
        folds = prepare(folder, study)
        prepared = {"prepare_seconds": round(time.perf_counter() - started, 1)}
        data = training_data.load_data(study, folds)
        split = described_split(folds, study.tracks)
        groups = pd.Series(split["test"])
        keys = [key_of(run, data, machine) for run in plan]
        runs = [stored[key] for key in keys if key in stored]
        for run, key in zip(tqdm(plan, desc="trainings", unit="training"), keys, strict=True):
            if key not in stored:
                runs.append(run | {"key": key} | prepared | measure(run, data, study))
            about = {
                "corpus": folder.name,
                "split": split,
                "patience": training.PATIENCE,
                "environment": machine,
                "code": data.hashes["code"],
            }
            result = about | judged(runs, groups)
            if path:
                files.write_json(path, result)
    return result


def judged(runs: list[dict], groups: pd.Series) -> dict:
    """The trainings with their accuracies, how they compare, and what is said of that."""
    result = {"runs": scored(runs, groups), "compared": compared(runs, groups)}
    return result | {"says": told(result), "figures": figures(result)}


def merged(parts: list[dict]) -> dict:
    """One result of several, each with some of the trainings.

    Raises
    ------
    ValueError
        If they are not of the same data, code and machine, or two hold the same training.
    """
    about = {key: parts[0][key] for key in ("corpus", "split", "patience", "environment", "code")}
    for key, value in about.items():
        if any(part[key] != value for part in parts):
            raise ValueError(f"the parts differ in their {key}: they cannot be compared")
    runs = [run for part in parts for run in part["runs"]]
    if len({label(run) for run in runs}) < len(runs):
        raise ValueError("the parts hold a training twice: leave one of the two out")
    runs.sort(key=lambda run: (not run["stopping"], run["seed"], run["network"] == "peer"))
    return about | judged(runs, pd.Series(about["split"]["test"]))


def told(result: dict) -> list[str]:
    """Sentences on what was compared, and what came out."""
    runs = {label(run): run for run in result["runs"]}
    says = []
    for pair in result["compared"]:
        both = [[runs[name] for name in pair[side]] for side in "ab"]
        ours, theirs = (np.mean([run["seconds"] for run in side]) for side in both)
        low, high = pair["ci95"]
        says.append(
            f"{' + '.join(pair['a'])} against {' + '.join(pair['b'])}: accuracy "
            f"{np.mean([run['accuracy'] for run in both[0]]):.3f} and "
            f"{np.mean([run['accuracy'] for run in both[1]]):.3f}, difference "
            f"{pair['difference']:+.3f} [{low:+.3f}, {high:+.3f}], p = {pair['p_value']:.3f}; "
            f"a training took {ours:.0f} s and {theirs:.0f} s ({theirs / ours:.2f} times ours)."
        )
    return says or ["No training of both networks by the same seed is there yet."]


def figures(result: dict) -> dict:
    """Numbers whose history is drawn: of all seeds together, ours and the peer's."""
    names = dict(zip(KINDS, ("ours", "peer", "our best", "peer in full"), strict=True))
    sides = {
        name: [run for run in result["runs"] if kind_of(run) == kind]
        for kind, name in names.items()
    }
    return {
        f"{what} of {name}": measuring.figure(float(np.mean([run[key] for run in runs])))
        for what, key in (("accuracy", "accuracy"), ("training seconds", "seconds"))
        for name, runs in sides.items()
        if runs
    }


def shown(result: dict) -> str:
    """The measurements as tables."""
    runs = pd.DataFrame(result["runs"])
    runs.index = [label(run) for run in result["runs"]]
    runs["ci95"] = [f"{low:.3f} to {high:.3f}" for low, high in runs["ci95"]]
    runs["M multiply-adds per s"] = runs["multiply_adds_per_second_of_music"] / 1e6
    columns = ["accuracy", "ci95", "accuracy_by_mean_probability", "seconds", "cpu_seconds"]
    columns += ["epochs", "best_epoch", "parameters", "M multiply-adds per s"]
    return runs[columns].round(3).to_string()


def main():
    """Measure, show tables, and keep the measurements as JSON if asked to."""
    parser = measuring.parser(__doc__)
    parser.add_argument(
        "--folder", type=Path, help="store (default: gtzan_mel80 of the data folder)"
    )
    parser.add_argument("--model", choices=sorted(hyperparameters.DEFAULTS), default="cnn_paper")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network")
    parser.add_argument("--epochs", type=int, default=30, help="at most, where training may stop")
    parser.add_argument(
        "--full", type=int, default=150, help="epochs of the peer in full; 0: no network in full"
    )
    parser.add_argument("--threads", type=int, help="of TensorFlow; default: one per usable core")
    parser.add_argument("--only", choices=KINDS, help="these trainings alone")
    parser.add_argument("--seed", type=int, help="those of this seed alone")
    parser.add_argument("--merge", nargs="+", type=Path, help="join results; nothing is trained")
    options = parser.parse_args()
    if options.merge:
        result = merged([files.read_json(path) for path in options.merge])
    else:
        folder = options.folder or files.data_folder() / "gtzan_mel80"
        if not (folder / "tracks.csv").exists():
            measuring.left_out(f"{folder} is not there: data/README.md says where it is from")
        threads = options.threads or study_results.environment()["threads"]
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        if options.quick:
            options.seeds, options.epochs, options.full = 1, 1, 1
        plan = planned(options.model, options.seeds, options.epochs, options.full)
        plan = chosen(plan, options.only, options.seed)
        if not plan:
            parser.error("--only and --seed leave no training")
        result = benchmark(folder, plan, threads, options.json)
    print(shown(result), end="\n\n")
    measuring.show(result, options.json)


if __name__ == "__main__":
    main()
