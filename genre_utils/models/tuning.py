"""Settings searched by Optuna (Akiba et al. 2019) inside the training part of each fold."""

import functools
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import optuna
import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from sklearn.metrics import log_loss

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.models import classical, hyperparameters, training, training_data
from genre_utils.workspace import evidence, files, model_names, parallel
from genre_utils.workspace.study_folder import StudyFolder

optuna.logging.set_verbosity(optuna.logging.WARNING)
DONE = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
INNER_FOLDS = 3
EPOCHS = 8  # of a trial, at most: enough to tell settings apart
PRUNER = optuna.pruners.MedianPruner(n_startup_trials=4)
FIRST_AT_RANDOM = 6  # trials of a fold before the sampler learns from them
AUGMENTATION = {"none": (), "all": hyperparameters.AUGMENTATIONS}


@dataclass(frozen=True)
class SearchResult:
    """What a search has found: settings of each fold, and the trials that say why."""

    settings: dict[int, Any]  # Hyperparameters of networks, dicts of classical models
    usual: dict  # settings of the first trial, by name
    trials: pd.DataFrame  # fold, number, state, value, seconds, and a column for each setting
    importance: dict[str, float]  # share of the differences that each setting explains
    ran_on: list[str]  # backends and devices


CLASSICAL: dict[str, dict] = {
    "svm": {"C": FloatDistribution(0.1, 100.0, log=True),
            "gamma": FloatDistribution(0.1, 10.0, log=True)},
    "logistic": {"C": FloatDistribution(1e-4, 1.0, log=True)},
    "knn": {"n_neighbors": IntDistribution(1, 50),
            "weights": CategoricalDistribution(("uniform", "distance"))},
}  # fmt: skip


def space(name: str) -> dict:
    """Values that each setting of a model may take."""
    if name in CLASSICAL:
        return CLASSICAL[name]
    family = model_names.family(name)
    fewest = min(3, hyperparameters.DEFAULTS[family].hidden_layers)  # an `mlp` has one
    saturating = ("tanh",) if family == "rnn" else ()
    return {
        "learning_rate": FloatDistribution(3e-4, 3e-2, log=True),
        "batch_size": CategoricalDistribution((16, 32, 64)),
        "hidden_layers": IntDistribution(fewest, 5),
        "width": CategoricalDistribution((0.5, 1.0, 2.0)),
        "activation": CategoricalDistribution(("relu", "leaky_relu", *saturating)),
        "optimizer": CategoricalDistribution(hyperparameters.CHOICES["optimizer"]),
        "weight_decay": FloatDistribution(1e-3, 1e-1, log=True),
        "dropout": FloatDistribution(0.0, 0.6),
        "augmentation": CategoricalDistribution(tuple(AUGMENTATION)),
    }


def search_settings(
    study: StudyFolder, name: str, *, trials: int, epochs: int, seed: int = 0, n_jobs: int = -1
) -> None:
    """Search the settings of a model for every fold of a study; goes on where it was stopped.

    The first trial of each fold is the model's usual setting. Each is scored within the training
    and validation parts, by artist-disjoint cross-validation: the cross-entropy of whole tracks.

    Parameters
    ----------
    study : StudyFolder
        A study whose notebooks 01 and 02 are done.
    name : str
        A network, or a classical model.
    trials, epochs : int
        How many trials each fold has in the end, and epochs a network has, at most (`EPOCHS` if
        those are fewer).
    seed : int
        Decides what is tried first, and how it is trained.
    n_jobs : int
        Processes that search at once; -1 for one per core.
    """
    epochs = min(epochs, EPOCHS)
    numbers = sorted(int(fold) for fold in study.folds["fold"].unique())
    searches = {fold: _open(study, name, fold, epochs, seed) for fold in numbers}
    done = {fold: len(_finished(search)) for fold, search in searches.items()}
    options = name, epochs, seed
    left = [(fold, number) for number in range(trials) for fold in numbers if number >= done[fold]]
    jobs = (  # each trial knows those that are stored by then
        (f"{name}, fold {fold}", study.path, fold, number, _finished(searches[fold]), *options)
        for fold, number in left
    )
    if left:
        progress: dict = {"desc": f"{name}, search", "unit": "trial", "folder": study.path}
        tried = parallel.over(_one_more, jobs, len(left), each=2, n_jobs=n_jobs, **progress)
        for (fold, _), trial in zip(left, tried, strict=True):  # SQLite is for this process alone
            searches[fold].add_trial(trial)
    _publish(study, name, searches)


def search_result(study: StudyFolder, name: str) -> SearchResult | None:
    """Read what a search has found; None unless every fold of the study has settings of its own.

    Parameters
    ----------
    study : StudyFolder
        A study in which `search_settings` may have run.
    name : str
        The network.

    Returns
    -------
    SearchResult or None
        Its settings by fold, usual ones, trials, importance of each setting, and ran_on.
    """
    path, folds = study.tuning(name, ".json"), study.folds
    if not path.exists():
        return None
    from_json: Any = dict if name in CLASSICAL else hyperparameters.Hyperparameters.from_json
    record = files.read_json(path)
    by_tracks = {one["tuned_on"]: from_json(one) for one in record["settings"]}
    tuned_on = {int(n): splits.learning_hash(folds, n) for n in sorted(folds["fold"].unique())}
    if not set(tuned_on.values()) <= set(by_tracks):
        return None
    settings = {fold: by_tracks[tracks] for fold, tracks in tuned_on.items()}
    trials = pd.read_parquet(study.tuning(name, ".parquet"))
    return SearchResult(settings, _usual(name), trials, record["importance"], record["ran_on"])


def inner_folds(folds: pd.DataFrame, fold: int, tracks: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Artist-disjoint folds within the training and validation parts of a fold, as `make_folds`."""
    learning = folds[(folds["fold"] == fold) & (folds["part"] != "test")]
    inside = learning[["track_id", "group"]].merge(tracks[["track_id", "genre"]], on="track_id")
    inside = inside.rename(columns={"group": "artist"})  # which is tied together already
    inner = splits.make_folds(inside, folds=INNER_FOLDS, group_by="artist", seed=seed)
    parts = {"test": "validation", "validation": "train", "train": "train"}
    inner = inner.assign(part=inner["part"].map(parts))
    splits.refuse_leakage(folds, fold, tuning=inner["track_id"])
    return inner


@functools.lru_cache(maxsize=1)
def _data(path, name, inputs):
    """What a model learns from, kept between the trials of a process for the same inputs."""
    study = StudyFolder(path)
    return classical.Data(study) if name in CLASSICAL else training_data.load_data(study)


def _one_more(_, path, fold, number, known, name, epochs, seed):
    """One more trial of a fold, in a copy of its search that holds the trials that are known."""
    drawn = 10_000 * seed + 100 * fold + number  # not again what the first trials drew
    options = {"n_startup_trials": FIRST_AT_RANDOM, "multivariate": True, "seed": drawn}
    sampler = optuna.samplers.TPESampler(**options)
    search = optuna.create_study(sampler=sampler, pruner=PRUNER)
    search.add_trials(known)
    if number == 0:
        search.enqueue_trial(_usual(name))
    trial = search.ask(space(name))
    study = StudyFolder(path)
    inputs = study.features["sha256"], files.sha256(study.folds.to_csv(index=False))
    score = _score(trial, _data(path, name, inputs), name, fold, epochs, seed)
    state = optuna.trial.TrialState.PRUNED if score is None else None
    return search.tell(trial, score, state=state)


def _usual(name):
    """The model's usual setting as a trial."""
    if name in CLASSICAL:
        return {key: classical.HYPERPARAMETERS[name][key] for key in space(name)}
    given = hyperparameters.DEFAULTS[name].as_json()
    given["augmentation"] = "all" if given["augmentation"] else "none"
    return {key: given[key] for key in space(name)}


def _chosen(name, params):
    """Settings with the values that a trial has chosen."""
    if name in CLASSICAL:
        return classical.HYPERPARAMETERS[name] | params
    chosen = params | {"augmentation": AUGMENTATION[params["augmentation"]]}
    return replace(hyperparameters.DEFAULTS[name], **chosen)


def _score(trial, data, name, fold, epochs, seed):
    """Mean cross-entropy of whole tracks over the inner folds; None if it is given up early."""
    device = keras.distribution.list_devices()[0]
    where = "scikit-learn" if name in CLASSICAL else f"{keras.config.backend()} on {device}"
    trial.set_user_attr("ran_on", where)
    fit = _fitted_classical if name in CLASSICAL else _fitted_network
    chosen, scores = _chosen(name, trial.params), []
    inner, ready = inner_folds(data.folds, fold, data.study.tracks, seed), dict[str, Any]()
    options = {"epochs": epochs, "seed": seed, "ready": ready}
    for number, part in inner.groupby("fold"):
        part_of = data.table["track_id"].map(part.set_index("track_id")["part"])
        tested = fit(data, name, chosen, part_of, fold, options)
        scores.append(_cross_entropy(scoring.track_probabilities(tested)))
        trial.report(float(np.mean(scores)), int(number))
        if trial.should_prune():
            return None
    return float(np.mean(scores))


def _fitted_network(data, name, settings, part_of, fold, options):
    """Predictions for the validation part of an inner fold."""
    rows = data.rows_by(part_of)
    learning = rows
    if settings.fixed_epochs:  # would train on the validation part too, which scores it here
        learning = rows | {"validation": rows["validation"][:0]}
    model, _ = training.learn(data, learning, name, settings, **options)
    return training.predict(model, data, rows["validation"], fold)


def _fitted_classical(data, name, settings, part_of, fold, _):
    train, held = (np.flatnonzero(part_of == part) for part in ("train", "validation"))
    of = data.x.to_numpy(), data.genre, data.group, train, held, data.genres, settings
    return data.predicted(held, fold, classical.fit_predict(name, *of))


def _cross_entropy(tracks):
    """Mean of -log p of the true genre, in nats, of tracks as `track_probabilities` gives them."""
    columns = sorted(scoring.probability_columns(tracks))  # the order that log_loss takes
    p = tracks[columns].div(tracks[columns].sum(axis=1), axis=0)  # float32 sums to nearly one
    genres = [name.removeprefix("p_") for name in columns]
    return float(log_loss(tracks["y_true"], p, labels=genres))


def _open(study, name, fold, epochs, seed):
    """The search of one fold, named by all that decides its scores, in the file for all folds."""
    tuned_on, code = splits.learning_hash(study.folds, fold), evidence.code("search")
    key = f"{fold} {files.sha256(tuned_on, study.features['sha256'], code, epochs, seed)[:16]}"
    path = study.tuning(name, ".db")
    path.parent.mkdir(exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    return optuna.create_study(storage=storage, study_name=key, load_if_exists=True)


def _finished(search):
    return search.get_trials(deepcopy=False, states=DONE)


def _publish(study, name, searches):
    """Write the best settings of each fold, the importance of each setting, and all trials."""
    best, tables, ran_on = [], [], set()
    for fold, search in searches.items():
        tuned_on = splits.learning_hash(study.folds, fold)
        chosen = _chosen(name, search.best_params)
        chosen = chosen if name in CLASSICAL else chosen.as_json()
        best.append(chosen | {"tuned_on": tuned_on})
        ran_on |= {trial.user_attrs.get("ran_on", "unknown") for trial in search.trials}
        table = search.trials_dataframe(("number", "state", "value", "duration", "params"))
        tables.append(table[table["state"] != "RUNNING"].assign(fold=fold))
    trials = pd.concat(tables, ignore_index=True)
    trials = trials.rename(columns=lambda column: column.removeprefix("params_"))
    trials["seconds"] = trials.pop("duration").dt.total_seconds()
    files.write_table(study.tuning(name, ".parquet"), trials)
    record = {"model": name, "ran_on": sorted(ran_on), "settings": best}
    record["importance"] = _importance(name, trials)
    files.write_json(study.tuning(name, ".json"), record)


def _importance(name, trials):
    """Share of the variance of scores that each setting explains (fANOVA, Hutter et al. 2014)."""
    finished = trials[trials["state"] == "COMPLETE"]
    relative = finished["value"] - finished.groupby("fold")["value"].transform("median")
    if relative.nunique() < 2:  # as with one trial in each fold
        return dict.fromkeys(space(name), 0.0)
    pooled, known = optuna.create_study(), space(name)
    for row, value in zip(finished.to_dict("records"), relative, strict=True):
        one: dict = {"params": {key: row[key] for key in known}, "distributions": known}
        pooled.add_trial(optuna.trial.create_trial(value=value, **one))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(pooled, evaluator=evaluator)
