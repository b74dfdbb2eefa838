"""What handcrafted features are worth to models that read them: exchanged between whole tracks."""

import itertools
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from scipy.special import softmax
from tqdm import tqdm

from genre_utils.features import catalogue
from genre_utils.interpretation.attribution import outputs, reads_spectrogram
from genre_utils.models import classical, training_data

SPECTROGRAM = "spectrogram"  # stands among the families where a network reads it beside them
REPEATS = 5  # exchanges of each family of features


def exchange_families(
    study: Path, data: training_data.Data, networks: dict, names, *, seed: int = 0
) -> pd.DataFrame:
    """Ask models again after a family of features was exchanged between test tracks.

    scikit-learn's `permutation_importance` exchanges one column between rows. A family has many
    columns that say almost the same, and the excerpts of a track would stand in for each other, so
    that whole families are exchanged here (Breiman 2001), and between whole tracks.

    Parameters
    ----------
    study : Path
    data : training.Data
    networks : dict of str to dict of int to keras.Model
        See `attribution.load_networks`.
    names : sequence of str
        Models that read the features: of `networks`, or classical ones, which are fitted anew.
    seed : int

    Returns
    -------
    pd.DataFrame
        A row per model and track: model, track_id, then the share of `REPEATS` exchanges after
        which the track's answer is right, one column for each family; "all" where nothing is
        exchanged, and "spectrogram" for a network that reads that, too.
    """
    statistics = classical.Data(study)
    families = columns_of(statistics)
    jobs = list(itertools.product(names, sorted(data.folds["fold"].unique())))
    tables = []
    for name, fold in tqdm(jobs, desc="features exchanged", unit="fold"):
        if name in networks:
            judge = _network_judge(networks[name][fold], data, fold)
        else:
            judge = _classical_judge(name, statistics, data.genres, fold)
        sees = name in networks and reads_spectrogram(name)
        parts = families | ({SPECTROGRAM: []} if sees else {})
        tables.append(_exchanged(*judge, parts, seed=(seed, fold)).assign(model=name))
    return pd.concat(tables, ignore_index=True)


def columns_of(statistics: classical.Data) -> dict[str, list[int]]:
    """Places of the columns of each family of features."""
    places = pd.Series(np.arange(statistics.x.shape[1]))
    return places.groupby(statistics.x.columns.map(catalogue.family_of)).agg(list).to_dict()


def _network_judge(model, data, fold):
    """Test excerpts of a fold (track_id, genre, features), and what a network says of them.

    The last layer is linear in the vectors that the two inputs were made into, so that
    spectrograms are looked at once, however often features are exchanged.
    """
    rows = training_data.fold_rows(data, fold)["test"]
    x = data.inputs(model.name, rows)
    asked = data.table["track_id"].to_numpy()[rows], data.y[rows], data.features[rows]
    if not isinstance(x, dict):
        return *asked, lambda values, order: outputs(model, values)
    end = model.get_layer("genre")
    (join,) = (layer for layer in model.layers if layer.output is end.input)
    sees, reads = join.input  # in the order of models.BUILDERS: spectrogram, features
    seen = outputs(keras.Model(model.input["log_mel"], sees), x["log_mel"])
    reader = keras.Model(model.input["features"], reads)
    kernel, bias = end.get_weights()

    def says(values, order):
        return softmax(np.hstack([seen[order], outputs(reader, values)]) @ kernel + bias, axis=1)

    return *asked, says


def _classical_judge(name, statistics, genres, fold):
    """The same for a classical model, fitted to the training rows of the fold."""
    x, (train, test) = statistics.x.to_numpy(), statistics.parts(fold)
    model = classical.estimator(name, len(train)).fit(x[train], statistics.y[train])
    position = [list(model.classes_).index(genre) for genre in genres]
    ids = statistics.table["track_id"].to_numpy()[test]
    true = np.array([genres.index(genre) for genre in statistics.y[test]])
    return ids, true, x[test], lambda values, order: model.predict_proba(values)[:, position]


def _exchanged(ids, true, x, says, families, *, seed):
    """Rows of `exchange_families` for the tracks of one fold."""
    rng, here = np.random.default_rng(seed), np.tile(np.arange(len(ids)), REPEATS)
    tracks, owner = np.unique(ids, return_inverse=True)
    found = {"track_id": tracks, "all": _right(says(x, here[: len(ids)]), owner, true)}
    for family, columns in families.items():
        donors = np.concatenate([_dealt(owner, rng) for _ in range(REPEATS)])
        values = x[here]
        values[:, columns] = x[np.ix_(donors, columns)]
        order = donors if family == SPECTROGRAM else here
        found[family] = _right(says(values, order), owner, true)
    return pd.DataFrame(found)


def _dealt(owner, rng):
    """Row that each row gets its values from: the same excerpt of a track drawn without return."""
    places = [np.flatnonzero(owner == track) for track in range(owner.max() + 1)]
    donors = np.empty_like(owner)
    for own, other in zip(places, rng.permutation(len(places)), strict=True):
        donors[own] = np.resize(places[other], len(own))  # again from the first if it has fewer
    return donors


def _right(probabilities, owner, true):
    """Share of the exchanges after which each track's mean answer is right."""
    per_exchange = probabilities.reshape(-1, len(owner), probabilities.shape[-1])
    sums = np.stack([per_exchange[:, owner == k].sum(axis=1) for k in range(owner.max() + 1)])
    genre = true[np.unique(owner, return_index=True)[1]]
    return (sums.argmax(axis=2) == genre[:, np.newaxis]).mean(axis=1)
