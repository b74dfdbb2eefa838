"""Settings searched inside the training part of each fold, so that no test track decides any.

The search is Optuna's (Akiba et al. 2019): trials proposed by a tree-structured Parzen estimator
(Bergstra et al. 2011), the poor ones stopped early, all kept in one SQLite file, so that a search
can be stopped and continued. Several processes try settings at once, and this one alone reads and
writes the file, since SQLite cannot be shared by machines.
"""

import functools
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import optuna
import pandas as pd
from sklearn.metrics import log_loss

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.models import architectures, hyperparameters, training, training_data
from genre_utils.workspace import evidence, files, parallel

optuna.logging.set_verbosity(optuna.logging.WARNING)
DONE = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
INNER_FOLDS = 3
PRUNER = optuna.pruners.MedianPruner(n_startup_trials=4)
FIRST_AT_RANDOM = 6  # trials of a fold before the sampler learns from them
AUGMENTATION = {"none": (), "all": hyperparameters.AUGMENTATIONS}


def space(name: str) -> dict[str, optuna.distributions.BaseDistribution]:
    """Values that each setting may take: those the paper names, and augmentation.

    The paper says learning rate, batch size, number of hidden layers (3 to 5), activation,
    regularisation and optimiser.
    """
    floats, choice = (
        optuna.distributions.FloatDistribution,
        optuna.distributions.CategoricalDistribution,
    )
    fewest = min(
        3, hyperparameters.DEFAULTS[architectures.family(name)].hidden_layers
    )  # an `mlp` has one
    saturating = ("tanh",) if architectures.family(name) == "rnn" else ()
    return {
        "learning_rate": floats(3e-4, 3e-2, log=True),
        "batch_size": choice((16, 32, 64)),
        "hidden_layers": optuna.distributions.IntDistribution(fewest, 5),
        "activation": choice(("relu", "leaky_relu", *saturating)),
        "optimizer": choice(hyperparameters.CHOICES["optimizer"]),
        "l2": floats(1e-5, 1e-2, log=True),
        "dropout": floats(0.0, 0.6),
        "augmentation": choice(tuple(AUGMENTATION)),
    }


def search(study: Path, name: str, *, trials: int, epochs: int, seed: int = 0, n_jobs: int = -1):
    """Search the settings of a model for every fold of a study; goes on where it was stopped.

    The first trial of each fold is the model's usual setting, so that the search starts from it.
    A trial is scored within the training and validation parts of the fold, by cross-validation
    with artists apart: the cross-entropy of whole tracks.

    Parameters
    ----------
    study : Path
        A study whose notebooks 01 and 02 are done. ``tuning/NAME.json`` (best settings of each
        fold, importance of each setting) and ``tuning/NAME.parquet`` (all trials) are written.
    name : str
        A model of `architectures.BUILDERS`.
    trials : int
        How many each fold has in the end.
    epochs : int
        At most, of each network.
    seed : int
    n_jobs : int
        Processes that search at once; see `parallel.over`.
    """
    folds = pd.read_parquet(study / "folds.parquet")
    names = {
        int(fold): _search_name(study, folds, fold, epochs, seed)
        for fold in sorted(folds["fold"].unique())
    }
    searches = {fold: _open(study, name, key) for fold, key in names.items()}
    done = {fold: len(_finished(search)) for fold, search in searches.items()}
    left = [(fold, number) for number in range(trials) for fold in names if number >= done[fold]]
    if left:
        _go_on(study, name, searches, left, epochs, seed, n_jobs)
    _publish(study, name, folds, names)


def _go_on(study, name, searches, left, epochs, seed, n_jobs):
    """Make the trials that are left, each of them knowing those that are stored by then."""
    jobs = (
        (f"{name}, fold {fold}", study, name, fold, number, _finished(searches[fold]), epochs, seed)
        for fold, number in left
    )
    progress = {"desc": f"{name}, search", "unit": "trial", "folder": study, "n_jobs": n_jobs}
    tried = parallel.over(_one_more, jobs, len(left), each=2, **progress)
    for (fold, _), trial in zip(left, tried, strict=True):
        searches[fold].add_trial(trial)


def settings(study: Path, name: str) -> dict[int, hyperparameters.Hyperparameters]:
    """Stored settings of a model for each fold; empty unless every fold has its own.

    What was tuned on other tracks than the training and validation parts of a fold is not for
    that fold. `training.train_fold` would refuse it.
    """
    path = study / "tuning" / f"{name}.json"
    if not path.exists():
        return {}
    folds = pd.read_parquet(study / "folds.parquet")
    stored = [
        hyperparameters.Hyperparameters.from_json(one) for one in files.read_json(path)["settings"]
    ]
    by_tracks = {one.tuned_on: one for one in stored}
    numbers = sorted(folds["fold"].unique())
    found = {int(fold): by_tracks.get(splits.learning_hash(folds, fold)) for fold in numbers}
    return found if all(found.values()) else {}


def inner_folds(folds: pd.DataFrame, fold: int, tracks: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Cross-validation within the training and validation parts of a fold, artists apart.

    Parameters
    ----------
    folds : pd.DataFrame
        Of the study: track_id, fold, part, group.
    fold : int
    tracks : pd.DataFrame
        With track_id and genre.
    seed : int

    Returns
    -------
    pd.DataFrame
        track_id, fold (of the inner cross-validation), part (``train`` or ``validation``), group.
    """
    learning = folds[(folds["fold"] == fold) & (folds["part"] != "test")]
    inside = learning[["track_id", "group"]].merge(tracks[["track_id", "genre"]], on="track_id")
    inside = inside.rename(columns={"group": "artist"})  # which is tied together already
    inner = splits.make_folds(inside, folds=INNER_FOLDS, group_by="artist", seed=seed)
    parts = {"test": "validation", "validation": "train", "train": "train"}
    inner = inner.assign(part=inner["part"].map(parts))
    splits.refuse_leakage(folds, fold, tuning=inner["track_id"])
    return inner


@functools.lru_cache(maxsize=1)
def _data(study):
    return training_data.load_data(study)


def _one_more(_, study, name, fold, number, known, epochs, seed):
    """One more trial of a fold, in a copy of its search that holds the trials that are known."""
    # a search that goes on must not draw the first trials again
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=FIRST_AT_RANDOM,
        multivariate=True,
        seed=10_000 * seed + 100 * fold + number,
    )
    search = optuna.create_study(sampler=sampler, pruner=PRUNER)
    search.add_trials(known)
    if number == 0:
        search.enqueue_trial(_usual(name))
    trial = search.ask(space(name))
    score = _score(trial, _data(study), name, fold, epochs, seed)
    state = optuna.trial.TrialState.PRUNED if score is None else None
    return search.tell(trial, score, state=state)


def _usual(name):
    """The model's usual setting as a trial."""
    given = hyperparameters.DEFAULTS[name].as_json() | {"augmentation": "none"}
    return {key: given[key] for key in space(name)}


def _chosen(name, params):
    """Settings with the values that a trial has chosen."""
    chosen = params | {"augmentation": AUGMENTATION[params["augmentation"]]}
    return replace(hyperparameters.DEFAULTS[name], **chosen)


def _score(trial, data, name, fold, epochs, seed):
    """Mean cross-entropy of whole tracks over the inner folds; None if it is given up early."""
    trial.set_user_attr("ran_on", _ran_on())
    chosen, scores = _chosen(name, trial.params), []
    tracks = pd.read_parquet(data.study / "tracks.parquet")
    inner = inner_folds(data.folds, fold, tracks, seed)
    for number, part in inner.groupby("fold"):
        rows = training_data.part_rows(data, part.set_index("track_id")["part"])
        learning = rows
        if chosen.fixed_epochs:  # would train on the validation part too, which scores it here
            learning = rows | {"validation": rows["validation"][:0]}
        model, _ = training.learn(data, learning, name, chosen, epochs=epochs, seed=seed)
        tested = training.predict(model, data, rows["validation"], fold)
        whole = scoring.track_probabilities(tested)
        scores.append(cross_entropy(whole))
        trial.report(float(np.mean(scores)), int(number))
        if trial.should_prune():
            return None
    return float(np.mean(scores))


def _ran_on():
    """What the networks of this process train on: Keras's backend and the name of its device."""
    device = keras.distribution.list_devices()[0]
    if keras.config.backend() == "jax":
        import jax

        device = jax.devices()[0].device_kind
    return f"{keras.config.backend()} on {device}"


def cross_entropy(tracks: pd.DataFrame) -> float:
    """Mean of -log p of the true genre, in nats, of tracks as `track_probabilities` gives them."""
    columns = sorted(scoring.probability_columns(tracks))  # the order that log_loss takes
    p = tracks[columns].div(tracks[columns].sum(axis=1), axis=0)  # float32 sums to nearly one
    genres = [name.removeprefix("p_") for name in columns]
    return float(log_loss(tracks["y_true"], p, labels=genres))


def _search_name(study, folds, fold, epochs, seed):
    """Name that holds what decides the scores: after a change of these a new search begins."""
    features = files.read_json(study / "features.json")["sha256"]
    code = evidence.code("search")
    tuned_on = splits.learning_hash(folds, fold)
    return f"{fold} {files.sha256(tuned_on, features, code, epochs, seed)[:16]}"


def _open(study, name, key):
    """The search of one fold, in the file that all searches of this model share."""
    path = study / "tuning" / f"{name}.db"
    path.parent.mkdir(exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    return optuna.create_study(storage=storage, study_name=key, load_if_exists=True)


def _finished(search):
    return search.get_trials(deepcopy=False, states=DONE)


def _publish(study, name, folds, names):
    """Write the best settings of each fold, the importance of each setting, and all trials."""
    best, tables, ran_on = [], [], set()
    for fold, key in names.items():
        search = _open(study, name, key)
        tuned_on = splits.learning_hash(folds, fold)
        best.append(replace(_chosen(name, search.best_params), tuned_on=tuned_on))
        ran_on |= {trial.user_attrs.get("ran_on", "unknown") for trial in search.trials}
        table = search.trials_dataframe(("number", "state", "value", "duration", "params"))
        tables.append(table[table["state"] != "RUNNING"].assign(fold=fold))
    trials = pd.concat(tables, ignore_index=True)
    trials = trials.rename(columns=lambda column: column.removeprefix("params_"))
    trials["duration"] = trials["duration"].dt.total_seconds()
    trials = trials.rename(columns={"duration": "seconds"})
    files.write_table(study / "tuning" / f"{name}.parquet", trials)
    record = {
        "model": name,
        "ran_on": sorted(ran_on),
        "settings": [one.as_json() for one in best],
        "importance": importance(name, trials),
    }
    files.write_json(study / "tuning" / f"{name}.json", record)


def importance(name: str, trials: pd.DataFrame) -> dict[str, float]:
    """Share of the variance of the scores that each setting explains (fANOVA).

    Hutter, Hoos and Leyton-Brown (2014). The trials of all folds are taken together, each relative
    to the median of its fold; trials that were given up are left out. Where no score differs,
    every share is 0.

    Parameters
    ----------
    name : str
    trials : pd.DataFrame
        fold, state, value and a column for each setting, as ``tuning/NAME.parquet`` holds them.
    """
    finished = trials[trials["state"] == "COMPLETE"]
    relative = finished["value"] - finished.groupby("fold")["value"].transform("median")
    if relative.nunique() < 2:  # as with one trial in each fold
        return dict.fromkeys(space(name), 0.0)
    pooled = optuna.create_study()
    for row, value in zip(finished.to_dict("records"), relative, strict=True):
        params = {key: row[key] for key in space(name)}
        pooled.add_trial(
            optuna.trial.create_trial(params=params, distributions=space(name), value=value)
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(pooled, evaluator=evaluator)
