"""How models that learned from clean recordings predict changed ones: noisy, narrow, coded, cut."""

import shutil
from itertools import islice
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import ablation, corruptions, measurements
from genre_utils.features import augmentation, recipes
from genre_utils.models import classical
from genre_utils.workspace import files, model_names, parallel
from genre_utils.workspace.study_folder import StudyFolder

GRID = "robustness"
LABEL = "all"
NETWORK = "cnn"  # the one that is trained once more, with changed copies
TWIN = f"{NETWORK}, changed copies"
PER_ARTIST = 2  # tracks of each artist that are predicted
AT_MOST = 400  # tracks in all
SEED = 0  # of the choice of tracks, and of noise
SECONDS_A_CLIP, SECONDS_A_MODEL = 0.35, 3.0  # to change and describe a clip; to load and predict


def tested_tracks(folds):
    """Tracks that are predicted, and the fold whose models never met them: track_id and fold."""
    tested = folds[folds["part"] == "test"].sort_values("track_id")
    shuffled = tested.sample(frac=1.0, random_state=SEED)
    turn = shuffled.groupby("group").cumcount()
    kept = shuffled.loc[turn[turn < PER_ARTIST].sort_values(kind="stable").index]
    return kept[["track_id", "fold"]][:AT_MOST].sort_values(["fold", "track_id"], ignore_index=True)


def _changes(study):
    """Changes that can be made in a study: shorter clips, and all others of recordings."""
    seconds, recipe = study.tracks["duration_s"].max(), study.features["recipe"]
    if recipe is not None:
        seconds = min(seconds, recipe["clip_seconds"])
    possible = [c for c in corruptions.CHANGES if c.kind != "length" or c.value < seconds]
    return [change for change in possible if change.kind == "length" or recipe is not None]


def _asked(study):
    """Models that hear recordings and can be asked about others: see `measure`."""
    known = (*model_names.NETWORKS, *map(model_names.tuned, model_names.NETWORKS))
    return measurements.trained(study, (*known, *model_names.CLASSICAL))


def estimate(study: StudyFolder) -> float:
    """Seconds that `measure` takes in a study."""
    chosen, names = tested_tracks(study.folds), _asked(study)
    clips = len(chosen) * len(_changes(study))
    seconds = SECONDS_A_MODEL * len(names) * chosen["fold"].nunique()
    if _can_have_twin(study):  # whose copies have to be made
        seconds += study.run(NETWORK)["training_seconds"]
        clips += study.corpus["tracks"]
    return seconds + clips * SECONDS_A_CLIP / joblib.cpu_count()


def measure(study: StudyFolder) -> None:
    """Have the models of a study predict changed recordings, and store it; resumable.

    Networks are those of the folds, classical models are fitted again; the pretrained, searched
    classical ones, those on titles and a user's own are not asked. Where the study has
    recordings, and no changed copies of them, the cnn is trained once more, with such copies. A
    ValueError refuses a fixed split, a FileNotFoundError networks that were trained elsewhere.
    """
    names = _asked(study)
    decides = [measurements.made(study, names), _changes(study)]
    left = measurements.left(study, GRID, {LABEL: decides}, measurements.obstacle)
    for label, key in left.items():
        predictions = _measured(study, names, key)
        measurements.store(study, GRID, label, key, predictions, twin=[TWIN, NETWORK])


def _measured(study, names, key):
    """Predictions of the tracks of each fold; those of folds that are done are read."""
    from genre_utils.models import training_data  # TensorFlow

    homes = {name: (study, name) for name in names if name not in model_names.CLASSICAL}
    if _can_have_twin(study):
        homes[TWIN] = _train_twin(study), NETWORK
    chosen = tested_tracks(study.folds)
    places = {fold: study.fold(GRID, fold, key) for fold in chosen["fold"].unique()}
    to_do = chosen[[not places[fold].exists() for fold in chosen["fold"]]]
    jobs = to_do.merge(pd.DataFrame({"change": _changes(study)}), how="cross")
    found = _all_described(study, jobs)
    data, statistics = training_data.load_data(study), classical.Data(study)
    for fold, own in jobs.groupby("fold"):
        rows, inputs = _inputs(data, statistics, own, islice(found, len(own)))
        given = _probabilities(study, fold, inputs, statistics, names, homes)
        tables = [by_track(rows, p, data.genres).assign(model=name) for name, p in given.items()]
        files.write_table(places[fold], pd.concat(tables, ignore_index=True))
    return pd.concat([pd.read_parquet(place) for place in places.values()])


def _can_have_twin(study):
    plain = measurements.has_audio(study) and study.excerpts["copy"].max() == 0
    return plain and NETWORK in study.finished()


def _train_twin(study):
    """Train the network's folds with changed copies; the study that holds them."""
    from genre_utils.models import cross_validation, training_data  # TensorFlow

    made = study.derived("robustness_twin")
    key = files.sha256(measurements.made_by(study, NETWORK), SEED)
    if made.key.exists() and files.read_json(made.key) == key:
        return made
    variant = ablation.Variant(GRID, TWIN, effects=augmentation.EFFECTS, p=0.5)
    derived = ablation.derive(study, variant, SEED)
    data = training_data.load_data(derived)
    settings, options = measurements.settings_of(study, NETWORK, study.folds)
    options["epochs"] = _as_long(study.folds, next(iter(settings.values())), options["epochs"])
    found = cross_validation.out_of_fold(made, NETWORK, data, settings, label=TWIN, **options)
    made.write_model(NETWORK, *found)
    shutil.rmtree(derived.path)  # the feature cache can give it again
    files.write_json(made.key, key)
    return made


def _as_long(folds, settings, epochs):
    """Epochs of as many steps as so many were, where all of the training part stands twice."""
    epochs = min(epochs, settings.fixed_epochs or epochs)
    learned = ["train", "validation"] if settings.fixed_epochs else ["train"]
    once, twice = (folds["part"].isin(parts).sum() for parts in (learned, ["train"]))
    return max(1, round(epochs * once / (once + twice)))


def _all_described(study, jobs):
    """Features of each track after each change, in the order of the jobs."""
    pairs, described = list(zip(jobs["track_id"], jobs["change"], strict=True)), study.features
    if described["recipe"] is None:
        row, path = pd.Index(study.excerpts["track_id"]), study.place("log_mel")
        calls = [(name, path, row.get_loc(name), change, described) for name, change in pairs]
        function, folder = corruptions.described_image, study.path
    else:
        folder, recipe = Path(study.source["folder"]), recipes.Recipe(**described["recipe"])
        path = study.tracks.set_index("track_id")["path"]
        calls = [(name, folder / path[name], recipe, change, SEED) for name, change in pairs]
        function = corruptions.described
    bar = {"desc": "changed clips", "unit": "clip"}
    return parallel.over(
        function, calls, len(calls), folder=folder, n_jobs=measurements.JOBS, **bar
    )


def _inputs(data, statistics, jobs, found):
    """Track and change of each excerpt of a fold, as they are and changed, and what models read."""
    clean = (data.table["copy"] == 0) & data.table["track_id"].isin(jobs["track_id"])
    rows = [data.table.loc[clean, ["track_id"]].assign(change=corruptions.CLEAN)]
    images = [data.excerpts[np.flatnonzero(clean)]]
    values = [statistics.x[statistics.table["track_id"].isin(jobs["track_id"])]]
    for job, (excerpts, summary, columns) in zip(jobs.itertuples(), found, strict=True):
        one = {"track_id": job.track_id, "change": job.change.label}
        rows.append(pd.DataFrame([one] * len(excerpts)))
        images.append(excerpts)
        values.append(pd.DataFrame(summary, columns=columns)[statistics.x.columns])
    inputs = {"log_mel": np.concatenate(images), "features": pd.concat(values).to_numpy(np.float32)}
    return pd.concat(rows, ignore_index=True), inputs


def _probabilities(study, fold, inputs, statistics, names, homes):
    """Probabilities of every excerpt by every model."""
    simple = [name for name in names if name in model_names.CLASSICAL]
    found = {name: by_classical(statistics, name, fold, inputs["features"]) for name in simple}
    found |= {name: by_network(*home, fold, inputs) for name, home in homes.items()}
    members = model_names.ENSEMBLE_MEMBERS
    if model_names.ENSEMBLE in study.finished() and set(members) <= set(found):
        found[model_names.ENSEMBLE] = sum(found[name] for name in members) / len(members)
    return found


def by_classical(statistics, name, fold, x):
    """Probabilities by a classical model that is fitted to the fold's training rows."""
    train, _ = statistics.rows(fold)
    ids = statistics.table["track_id"].to_numpy()[train]
    splits.refuse_leakage(statistics.folds, fold, weights=ids)
    both = np.concatenate([statistics.x.to_numpy(), x])
    rows = statistics.genre, statistics.group, train, np.arange(len(statistics.x), len(both))
    return classical.fit_predict(name, both, *rows, statistics.genres)


def by_network(home, name, fold, inputs):
    """Probabilities by the network of a fold, which never met the tracks that it tests."""
    import keras

    from genre_utils.models import architectures, cross_validation

    keras.backend.clear_session()
    network = cross_validation.fold_model(home, name, fold)
    seen = architectures.alone({key: inputs[key] for key in architectures.reads(name)})
    return network.predict(seen, batch_size=256, verbose=0)


def by_track(rows, probabilities, genres):
    """Genre predicted for each track under each change, from the mean over its excerpts."""
    p = pd.DataFrame(np.asarray(probabilities, float)).set_axis([f"p_{g}" for g in genres], axis=1)
    means = p.groupby([rows["change"], rows["track_id"]], sort=False).mean().reset_index()
    return scoring.most_probable(means)[["change", "track_id", "y_pred"]]


def _right(study):
    """Pair of twins, which tracks are right, (tracks, (model, change)), their artists; or None."""
    if not (found := measurements.stored(study, GRID)):
        return None
    record, predictions = found[LABEL]
    right = measurements.correct(predictions, study.genre_of, "track_id", ["model", "change"])
    return record["twin"], right, right.index.map(study.groups)


def compare(study: StudyFolder) -> pd.DataFrame:
    """Accuracy of each model after each change, and its difference from the recording as it is.

    Gives model, question, change, value (how strong), accuracy, low, high, difference,
    difference_low, difference_high (95 % over artists), p_value (sign-flip permutation test over
    artists), p_holm (Holm over all rows) and separable; what compares is empty for
    `corruptions.CLEAN`, which comes first. Empty if nothing is stored.
    """
    if (found := _right(study)) is None:
        return pd.DataFrame()
    rows, (_, right, groups) = [], found
    twins_last = sorted(right.columns.unique("model"), key=lambda name: ", " in name)
    for model in sorted(twins_last, key=lambda name: model_names.place(name.split(", ")[0])):
        own = right[model]
        table, clean = measurements.accuracies(own, groups), own[corruptions.CLEAN]
        row = {"model": model, "question": "", "change": corruptions.CLEAN}
        rows.append(row | dict(table.loc[corruptions.CLEAN]))
        for change in [change for change in corruptions.CHANGES if change.label in own]:
            row = {"model": model, "question": change.question, "change": change.label}
            row |= {"value": change.value} | dict(table.loc[change.label])
            rows.append(row | measurements.change(own[change.label], clean, groups))
    return measurements.judged(pd.DataFrame(rows))


def compare_copies(study: StudyFolder) -> pd.DataFrame:
    """What training on changed copies is worth to the cnn, as recordings are and changed.

    Gives question, change, difference (with copies less without), low, high (95 % over artists),
    p_value, p_holm (Holm over all rows), separable. Empty if nothing is stored, or there are no
    recordings to change.
    """
    rows, found = [], _right(study)
    if found is None or not set(found[0]) <= set(found[1].columns.unique("model")):
        return pd.DataFrame()
    (copies, none), right, groups = found
    for question, label, *_ in (("", corruptions.CLEAN), *corruptions.CHANGES):
        if label in right[none]:
            change = measurements.difference(right[copies][label], right[none][label], groups)
            rows.append({"question": question, "change": label, **change})
    return measurements.judged(pd.DataFrame(rows))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`compare` as a table to be read: the changes that differ significantly."""
    rows = table[table["separable"].eq(True)]
    columns = {"model": rows["model"], "change": rows["change"]}
    return measurements.readable(rows, columns, "difference_low", "difference_high")
