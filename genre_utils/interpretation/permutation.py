"""Permutation importance of handcrafted features, by feature groups and between whole tracks."""

import itertools

import keras
import numpy as np
import pandas as pd
from scipy.special import softmax
from tqdm import tqdm

from genre_utils.evaluation import intervals
from genre_utils.features import catalogue
from genre_utils.interpretation import attribution
from genre_utils.models import architectures, classical, training_data
from genre_utils.workspace.study_folder import StudyFolder

#: Stand among the families where a network reads a spectrogram beside them.
WHOLE = SPECTROGRAM, FEATURES = ("spectrogram", "all features")
REPEATS = 5  # permutations of each family of features


def importance(study: StudyFolder, data: training_data.Data, *, seed: int = 0) -> pd.DataFrame:
    """Measure what models lose when a feature group is exchanged between test tracks.

    Permutation importance (Breiman 2001) of whole groups, since their columns say almost the same,
    and between whole tracks, since their excerpts would stand in for each other.

    Parameters
    ----------
    study : StudyFolder
        Its networks that read features are asked; its logistic regression is fitted anew.
    data : models.Data
        Its excerpts and folds.
    seed : int
        Decides which tracks exchange their features, and which artists are resampled.

    Returns
    -------
    pd.DataFrame
        Columns model, family (as readers call it), accuracy of whole tracks, drop of it, low, high
        (95 % over artists); the largest mean drop first. Of a network that reads a spectrogram,
        too, this and all features are families (`WHOLE`). Empty where no model can be asked.
    """
    finished = attribution.finished_networks(study)
    reading = [name for name in finished if "features" in architectures.reads(name)]
    networks = attribution.load_networks(study, reading)[0] if reading else {}
    names = [*networks, *(name for name in ["logistic"] if name in study.finished())]
    if not names:
        return pd.DataFrame()
    return _drops(_exchange(study, data, networks, names, seed), study.groups, seed)


def _exchange(study, data, networks, names, seed):
    """Share of permutations of a family (column) after which a model's track (row) is right."""
    statistics = classical.Data(study)
    places = pd.Series(np.arange(statistics.x.shape[1]))
    families = places.groupby(statistics.x.columns.map(catalogue.family_of)).agg(list).to_dict()
    jobs, tables = list(itertools.product(names, data.fold_numbers)), []
    for name, fold in tqdm(jobs, desc="features exchanged", unit="fold"):
        if name in networks:
            model = _network(networks[name][fold], data, fold)
        else:
            model = _classical(name, statistics, data.genres, fold)
        sees = name in networks and "log_mel" in architectures.reads(name)
        parts = families | ({SPECTROGRAM: [], FEATURES: [*places]} if sees else {})
        tables.append(_exchanged(*model, parts, seed=(seed, fold)).assign(model=name))
    return pd.concat(tables, ignore_index=True)


def _network(model, data, fold):
    """Test excerpts of a fold (track_id, genre, features), and how a network predicts from them."""
    rows = data.rows(fold)["test"]
    x = data.inputs(model.name, rows)
    tested = data.table["track_id"].to_numpy()[rows], data.y[rows], data.features[rows]
    if not isinstance(x, dict):
        return *tested, lambda values, order: attribution.outputs(model, values)
    end = model.get_layer("genre")
    (join,) = (layer for layer in model.layers if layer.output is end.input)
    sees, reads = join.input  # spectrogram, looked at once, and features, exchanged often
    seen = attribution.outputs(keras.Model(model.input["log_mel"], sees), x["log_mel"])
    reader = keras.Model(model.input["features"], reads)
    kernel, bias = end.get_weights()

    def predict(values, order):
        joined = np.hstack([seen[order], attribution.outputs(reader, values)])
        return softmax(joined @ kernel + bias, axis=1)

    return *tested, predict


def _classical(name, statistics, genres, fold):
    """The same for a classical model, fitted to the training rows of the fold."""
    x, (train, test) = statistics.x.to_numpy(), statistics.rows(fold)
    model = classical.estimator(name, x[train]).fit(x[train], statistics.genre[train])
    position = [list(model.classes_).index(genre) for genre in genres]
    ids = statistics.table["track_id"].to_numpy()[test]
    true = np.array([genres.index(genre) for genre in statistics.genre[test]])
    return ids, true, x[test], lambda values, order: model.predict_proba(values)[:, position]


def _exchanged(ids, true, x, predict, families, *, seed):
    """Rows of `_exchange` for the tracks of one fold."""
    rng, here = np.random.default_rng(seed), np.tile(np.arange(len(ids)), REPEATS)
    tracks, owner = np.unique(ids, return_inverse=True)
    found = {"track_id": tracks, "all": _right(predict(x, here[: len(ids)]), owner, true)}
    for family, columns in families.items():
        donors = np.concatenate([_donors(owner, rng) for _ in range(REPEATS)])
        values = x[here]
        values[:, columns] = x[np.ix_(donors, columns)]
        order = donors if family == SPECTROGRAM else here
        found[family] = _right(predict(values, order), owner, true)
    return pd.DataFrame(found)


def _donors(owner, rng):
    """Row that each row gets its values from: the same excerpt of a track drawn without return."""
    places = [np.flatnonzero(owner == track) for track in range(owner.max() + 1)]
    donors = np.empty_like(owner)
    for own, other in zip(places, rng.permutation(len(places)), strict=True):
        donors[own] = np.resize(places[other], len(own))  # again from the first if it has fewer
    return donors


def _right(probabilities, owner, true):
    """Share of the permutations after which each track's prediction is right."""
    per_exchange = probabilities.reshape(-1, len(owner), probabilities.shape[-1])
    sums = np.stack([per_exchange[:, owner == k].sum(axis=1) for k in range(owner.max() + 1)])
    genre = true[np.unique(owner, return_index=True)[1]]
    return (sums.argmax(axis=2) == genre[:, np.newaxis]).mean(axis=1)


def _drops(exchanged, groups, seed):
    """Table of `importance`, from that of `_exchange`."""
    tables = []
    for model, rows in exchanged.groupby("model", sort=False):
        found = rows.drop(columns=["model", "track_id"]).dropna(axis=1, how="all")
        drops = found[["all"]].to_numpy() - found.drop(columns="all")
        of = rows["track_id"].map(groups).to_numpy()
        mean, low, high = intervals.group_mean(drops, of, seed=seed)
        table = pd.DataFrame({"family": drops.columns, "drop": mean, "low": low, "high": high})
        tables.append(table.assign(model=model, accuracy=found["all"].mean()))
    table = pd.concat(tables)
    table["family"] = table["family"].map(catalogue.family_name)
    table["mean"] = table.groupby("family")["drop"].transform("mean")
    order = {"by": ["model", "mean", "family"], "ascending": [True, False, True]}
    return table.sort_values(**order, ignore_index=True).drop(columns="mean")
