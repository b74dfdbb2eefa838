"""How models that were trained on clean recordings hear changed ones: noisy, narrow, squeezed, cut.

Every track is asked of the model of its own fold, which never met it, as it is and after each
change, so that all differences are paired. Nothing is trained here but one network on changed
copies, to see whether that prepares it.
"""

import shutil
from itertools import islice
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from genre_utils.data import splits
from genre_utils.evaluation import scoring, study_results
from genre_utils.experiments import ablation, corruptions, measurements
from genre_utils.features import augmentation, spectral
from genre_utils.models import classical, ensemble
from genre_utils.workspace import files, model_names, parallel

GRID = "robustness"
NETWORK = "cnn"  # the one that is also trained with, or without, changed copies
PER_ARTIST = 2  # tracks of each artist that are asked about
AT_MOST = 400  # tracks in all
SEED = 0  # of the choice of tracks, and of noise
SECONDS_A_CLIP, SECONDS_A_MODEL = 0.35, 3.0  # to change and describe a clip; to load and ask
VERSION = 1  # of what is measured: another one is measured anew


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
    names, folds = study_results.finished_models(study), asked["fold"].nunique()
    seconds = SECONDS_A_MODEL * len(names) * folds
    clips = len(asked) * len(_changes(study))
    if measurements.has_audio(study) and NETWORK in names:  # on copies, which have to be made
        seconds += measurements.run_of(study, NETWORK)["training_seconds"]
        clips += files.read_json(study / "corpus.json")["tracks"]
    return seconds + clips * SECONDS_A_CLIP / joblib.cpu_count()


def _changes(study):
    described = files.read_json(study / "features.json")
    seconds = pd.read_parquet(study / "tracks.parquet")["duration_s"].max()
    if described["recipe"] is not None:
        seconds = min(seconds, described["recipe"]["clip_seconds"])
    return corruptions.changes(clip_seconds=seconds, has_audio=described["recipe"] is not None)


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
        If the networks were trained elsewhere (see `cross_validation.fold_model`).
    """
    if why := measurements.one_look(study):
        raise ValueError(f"the robustness cannot be measured: {why}.")
    names = [name for name in study_results.finished_models(study) if name != "ensemble"]
    made_by = {name: measurements.made_by(study, name) for name in names}
    possible = _changes(study)
    key = files.sha256(measurements.inputs(study), made_by, possible, per_artist, SEED, VERSION)
    if measurements.is_stored(study, GRID, "all", key):
        return
    homes = {name: (study, name) for name in names if name not in measurements.CLASSICAL}
    if measurements.has_audio(study) and NETWORK in names:
        homes[twin(study)] = _train_twin(study), NETWORK
    asked = chosen(pd.read_parquet(study / "folds.parquet"), per_artist=per_artist)
    answers = pd.concat(_answers(study, asked, possible, names, homes, key, n_jobs))
    measurements.store(study, GRID, "all", key, answers, tracks=len(asked), twin=list(_pair(study)))


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
    from genre_utils.models import cross_validation, training_data

    place = study / "folds_done" / "robustness_twin"
    done = place / "key.json"
    key = files.sha256(measurements.inputs(study), measurements.made_by(study, NETWORK), SEED)
    if done.exists() and files.read_json(done) == key:
        return place
    settings, options = measurements.settings_of(study, NETWORK)
    options["label"] = twin(study)
    if _has_copies(study):
        data = training_data.load_data(study)
        data.keep(data.table["copy"] == 0)
    else:
        effects = {"effects": augmentation.EFFECTS, "p": 0.5}
        variant = ablation.Variant("robustness", "changed copies", **effects)
        folder = ablation.derive(study, variant, SEED)
        data = training_data.load_data(folder)
        options["epochs"] = max(1, options["epochs"] // 2)  # of twice as many excerpts
    _, run = cross_validation.out_of_fold(place, NETWORK, data, settings, **options)
    if not _has_copies(study):
        shutil.rmtree(folder)  # the feature cache can give it again
    files.write_json(place / "runs" / f"{NETWORK}.json", run)
    files.write_json(done, key)  # last: it says that all is there
    return place


def _answers(study, asked, possible, names, homes, key, n_jobs):
    """Answers about the tracks of each fold; those of folds that are done are read."""
    from genre_utils.models import training_data

    done = study / "folds_done" / GRID
    places = {fold: done / f"{fold:02d}-{key[:16]}.parquet" for fold in asked["fold"].unique()}
    left = asked[[not places[fold].exists() for fold in asked["fold"]]]
    jobs = left.merge(pd.DataFrame({"change": possible}), how="cross")
    found = _all_described(study, jobs, n_jobs)
    data, statistics = training_data.load_data(study), classical.Data(study)
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
        return parallel.over(
            corruptions.described_image, calls, len(calls), folder=study, **settings
        )
    folder = Path(files.read_json(study / "source.json")["folder"])
    paths = pd.read_parquet(study / "tracks.parquet").set_index("track_id")["path"]
    recipe = spectral.Recipe(**store["recipe"])
    calls = [(name, folder / paths[name], recipe, change, SEED) for name, change in pairs]
    return parallel.over(corruptions.described, calls, len(calls), folder=folder, **settings)


def _asked(data, statistics, jobs, found):
    """What the excerpts of the tracks of a fold are, as they are and changed, and their inputs."""
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


def _said(study, fold, asked, statistics, names, homes):
    """Probabilities of every excerpt by every model."""
    simple = [name for name in names if name in measurements.CLASSICAL]
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

    from genre_utils.models import architectures, cross_validation

    keras.backend.clear_session()
    network = cross_validation.fold_model(home, name, fold)
    seen = architectures.alone({key: asked[key] for key in architectures.reads(name)})
    return network.predict(seen, batch_size=256, verbose=0)


def _by_track(rows, probabilities, genres):
    """Genre named for each track under each change, from the mean over its excerpts."""
    columns = [f"p_{genre}" for genre in genres]
    table = rows.assign(**dict(zip(columns, np.asarray(probabilities, float).T, strict=True)))
    means = table.groupby(["change", "track_id"], sort=False, as_index=False)[columns].mean()
    return scoring.most_probable(means)[["change", "track_id", "y_pred"]]


# ------------------------------------------------------------------------------------ comparing


def _right(study):
    """Record, and which answers are right, (tracks, (model, change)); None if nothing is stored."""
    found = measurements.stored(study, GRID)
    if "all" not in found:
        return None
    record, answers = found["all"]
    answers = measurements.with_right(answers, measurements.genre_of(study))
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
    groups, rows = right.index.map(measurements.group_of(study)), []
    of = {change.label: change for change in corruptions.CHANGES}
    for model in _in_order(right, record["twin"]):
        table = measurements.accuracies(right[model], groups)
        rows.append(
            {"model": model, "question": "", "change": corruptions.CLEAN}
            | dict(table.loc[corruptions.CLEAN])
        )
        for label in [label for label in of if label in right[model]]:
            change = measurements.difference(
                right[model][label], right[model][corruptions.CLEAN], groups
            )
            row = {"model": model, "question": of[label].question, "change": label}
            row |= {"value": of[label].value} | dict(table.loc[label])
            row |= {"difference_low": change.pop("low"), "difference_high": change.pop("high")}
            rows.append(row | change)
    table = pd.DataFrame(rows)
    asked = table["p_value"].notna()
    judged = measurements.judged(table[asked])
    return table.join(judged[["p_holm", "separable"]])


def _in_order(right, twins):
    """Models in the order of the study, the one with or without copies after its twin."""
    names = list(right.columns.unique("model"))
    rank = {name: k for k, name in enumerate(model_names.MODEL_ORDER)}
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
    groups = right.index.map(measurements.group_of(study))
    labels = [
        corruptions.CLEAN,
        *(change.label for change in corruptions.CHANGES if change.label in right[none]),
    ]
    question = {change.label: change.question for change in corruptions.CHANGES} | {
        corruptions.CLEAN: ""
    }
    rows = [
        {"question": question[label], "change": label}
        | measurements.difference(right[copies][label], right[none][label], groups)
        for label in labels
    ]
    return measurements.judged(pd.DataFrame(rows))


def leading(table: pd.DataFrame) -> list[str]:
    """Up to four models to look at closely: the best as recordings are, the cnn twice, the SVM."""
    clean = table[table["change"] == corruptions.CLEAN].set_index("model")["accuracy"]
    twins = [name for name in clean.index if name.startswith(f"{NETWORK}, ")]
    names = dict.fromkeys([clean.idxmax(), NETWORK, *twins, "svm"])
    return [name for name in names if name in clean]
