"""Attribution: which parts of its input the *evidence* of a network for a genre rests on.

It is the output before the softmax less the mean of all genres, by the network of the track's fold.
"""

from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers
from scipy.stats import spearmanr
from tqdm import tqdm

from genre_utils.interpretation.summaries import parts_of
from genre_utils.models import architectures, batches, cross_validation, training_data
from genre_utils.workspace import model_names
from genre_utils.workspace.study_folder import StudyFolder

STEPS = 32  # points of the path that gradients are averaged over
BATCH = 256  # excerpts, or points of their paths, that are computed together
REGIONS = 8  # parts of the mel axis, and
MOMENTS = 6  # parts of an excerpt, that are hidden one at a time
HIDDEN_SHARE = 0.1  # of a spectrogram's points that `checks` hides
CHECKED, CHECKED_FOLDS = 24, 3  # excerpts that `checks` looks at, and the folds they are from
MISSING, ALIKE = 0.05, 0.3  # what `checks` lets pass


class Maps(NamedTuple):
    """What n excerpts owe the evidence for their own genre to, by one kind of network."""

    rows: np.ndarray  # (n,): places in `training_data.Data`
    genre: np.ndarray  # (n,), int
    group: np.ndarray  # (n,), int: artist component
    gradients: np.ndarray  # (n, frames, mels): integrated gradients of the spectrogram
    elsewhere: np.ndarray  # (n,): sum of those of handcrafted features; 0 where they are not read
    gain: np.ndarray  # (n,): evidence less that for the baseline, what all of these should sum to
    regions: np.ndarray  # (n, REGIONS): evidence lost when a part of the mel axis is hidden
    moments: np.ndarray  # (n, MOMENTS): evidence lost when a part of the time is hidden


def finished_networks(study: StudyFolder) -> list[str]:
    """Networks that the study has results of."""
    return [n for n in study.finished() if model_names.family(n) in architectures.BUILDERS]


def load_networks(study: StudyFolder, wanted=()) -> tuple[dict[str, dict], list[str]]:
    """Load the network of every fold, of the kinds to look at.

    Parameters
    ----------
    study : StudyFolder
        The study.
    wanted : sequence of str
        Names of networks, a ValueError if the study has no results of one; if empty, the paper's,
        or else the first three that the study has.

    Returns
    -------
    networks : dict of str to dict of int to keras.Model
        By name and fold; without those whose folds are not all there.
    missing : list of str
        Names of these: a stored report does not hold the networks of single folds.
    """
    finished = finished_networks(study)
    unknown = [name for name in wanted if name not in finished]
    if unknown:
        problem = f"NETWORKS names {', '.join(unknown)}, which this study has no results of"
        raise ValueError(f"{problem}; it has {', '.join(finished) or 'no network'}.")
    names = list(wanted) or [n for n in model_names.PAPER_MODELS if n in finished] or finished[:3]
    folds = sorted(study.folds["fold"].unique().tolist())
    networks, missing = {}, []
    for name in tqdm(names, desc="networks of the folds", unit="model", mininterval=0.5):
        try:
            networks[name] = {k: cross_validation.fold_model(study, name, k) for k in folds}
        except FileNotFoundError:
            missing.append(name)
    return networks, missing


def outputs(model: keras.Model, x) -> np.ndarray:
    """What a model gives for `x`, some rows at a time, without compiling anything."""
    starts = range(0, len(tf.nest.flatten(x)[0]), BATCH)
    parts = (tf.nest.map_structure(lambda a, k=k: a[k : k + BATCH], x) for k in starts)
    return np.concatenate([model(part, training=False).numpy() for part in parts])


def _last_convolution(model):
    """Name of the last convolution of a network; None if it has none."""
    names = [x.name for x in model.layers if isinstance(x, layers.Conv1D | layers.Conv2D)]
    return names[-1] if names else None


def _evidence_model(model, layer=None):
    """A model that gives the evidence for each genre, after the output of `layer`, if any."""
    end = model.get_layer("genre")
    kernel, bias = end.get_weights()
    centred = layers.Dense(len(bias), name="evidence")
    output = centred(end.input)
    centred.set_weights([kernel - kernel.mean(axis=1, keepdims=True), bias - bias.mean()])
    return keras.Model(model.input, [model.get_layer(layer).output, output] if layer else output)


def _randomised(model, seed):
    """The same network with fresh random weights, but the same normalisation of its input."""
    keras.utils.set_random_seed(seed)
    random = keras.models.clone_model(model)
    for layer in random.layers:
        if layer.name.startswith(architectures.NORMALISED):
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return random


def _asked(data, name, fold, rows):
    """What is asked of a network: inputs, the baseline, and the genres whose evidence it is."""
    train, means = data.rows(fold)["train"], {}
    for key, values in data.parts(name).items():  # the mean of all frames: no network met silence
        mean, _ = batches.statistics(values, train)
        means[key] = np.broadcast_to(mean.astype(np.float32), values.shape[1:])
    return data.inputs(name, rows), architectures.alone(means), data.y[rows]


def _spectrogram(x):
    """The log-mel part of what a network takes in, which may be all of it."""
    return x["log_mel"] if isinstance(x, dict) else x


def _integrated_gradients(model, x, start, genre):
    """Evidence for a genre, shared out among all points of the input (Sundararajan et al. 2017)."""
    nodes, weights = np.polynomial.legendre.leggauss(STEPS)  # on the path from the baseline
    nodes, weights = (nodes + 1) / 2, weights / 2
    evidence, size = _evidence_model(model), max(1, BATCH // STEPS)

    def between(end, begin):  # (n, ...) -> (n * nodes, ...)
        points = begin + nodes.reshape(-1, *[1] * begin.ndim) * (end[:, np.newaxis] - begin)
        return tf.constant(points.reshape(-1, *begin.shape), tf.float32)

    def shared(end, begin, slopes):
        slopes = slopes.numpy().reshape(len(end), STEPS, *begin.shape)
        return (end - begin) * np.tensordot(slopes, weights, (1, 0))

    found = []
    for k in range(0, len(genre), size):
        ends = tf.nest.map_structure(lambda a, k=k: a[k : k + size], x)
        path = tf.nest.map_structure(between, ends, start)
        with tf.GradientTape() as tape:
            tape.watch(path)
            own = genre[k : k + size].repeat(STEPS)
            chosen = tf.gather(evidence(path, training=False), own, axis=1, batch_dims=1)
        found.append(tf.nest.map_structure(shared, ends, start, tape.gradient(chosen, path)))
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts).astype(np.float32), *found)


def _grad_cam(model, x, genre):
    """Where the last convolution finds what speaks for a genre (Selvaraju et al. 2017)."""
    with tf.GradientTape() as tape:
        maps, evidence = _evidence_model(model, _last_convolution(model))(x, training=False)
        chosen = tf.gather(evidence, genre, axis=1, batch_dims=1)
    slopes = tape.gradient(chosen, maps)
    places = list(range(1, len(maps.shape) - 1))  # axes of time, and of frequency if there is one
    weights = tf.reduce_mean(slopes, axis=places, keepdims=True)
    found = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
    found = found if len(places) == 2 else found[:, :, tf.newaxis]  # all bands alike
    return tf.image.resize(found, _spectrogram(x).shape[1:])[..., 0].numpy()


def _hide(x, start, mask):
    """Put the baseline's spectrogram in the place of that of `x` where `mask` is true."""
    hidden = np.where(mask, _spectrogram(start), _spectrogram(x)).astype(np.float32)
    return x | {"log_mel": hidden} if isinstance(x, dict) else hidden


def _occlusion(model, x, start, genre, masks):
    """Evidence that is lost when each mask is hidden (Zeiler, Fergus 2014), (n, masks)."""
    views = [x, *(_hide(x, start, mask) for mask in masks)]
    together = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *views)
    evidence = outputs(_evidence_model(model), together).reshape(len(views), len(genre), -1)
    before, *after = evidence[:, np.arange(len(genre)), genre]
    return before[:, np.newaxis] - np.stack(after, axis=1)


def _gain(model, x, start, genre):
    """Evidence for each row's genre less that for the baseline, (n,)."""
    evidence = _evidence_model(model)
    begin = outputs(evidence, tf.nest.map_structure(lambda a: a[np.newaxis], start))
    return outputs(evidence, x)[np.arange(len(genre)), genre] - begin[0, genre]


def explain(
    networks: dict, data: training_data.Data, row: int, *, random_weights: int | None = None
) -> dict[str, np.ndarray]:
    """Map what of an excerpt speaks for its genre, to the network that never met its track.

    Parameters
    ----------
    networks, data : dict of int to keras.Model, models.Data
        One kind of network, by fold (see `load_networks`), and excerpts and folds.
    row : int
        Place of the excerpt in `data`.
    random_weights : int, optional
        Seed of random weights instead of the learned ones: maps should change (Adebayo 2018).

    Returns
    -------
    dict of str to np.ndarray, shape (frames, mels)
        The spectrogram, Grad-CAM where the network has a convolution, and integrated gradients.
    """
    ((fold, model, _),) = _by_fold(networks, data, np.array([row]))
    x, start, genre = _asked(data, model.name, fold, [row])
    if random_weights is not None:
        model = _randomised(model, random_weights)
    found = {"spectrogram": data.excerpts[row]}
    if _last_convolution(model):
        found["Grad-CAM"] = _grad_cam(model, x, genre)[0]
    shared = _integrated_gradients(model, x, start, genre)
    return found | {"integrated gradients": _spectrogram(shared)[0]}


def attributions(
    networks: dict[str, dict], data: training_data.Data, per_genre: int, *, seed: int = 0
) -> dict[str, Maps]:
    """Explain the evidence for the true genres of excerpts, by networks that never met them.

    Parameters
    ----------
    networks, data : dict of str to dict of int to keras.Model, models.Data
        Networks by name and fold (see `load_networks`), and excerpts and folds.
    per_genre, seed : int
        Tracks of each genre, at most, whose middle excerpt is explained, and what decides which.

    Returns
    -------
    dict of str to Maps
        Integrated gradients, and what hiding parts of the spectrogram takes away, by network.
    """
    rows = _examples(data, per_genre, seed)
    return {name: _attributions(by_fold, data, rows) for name, by_fold in networks.items()}


def _examples(data, per_genre, seed):
    """Rows of the middle excerpts of some tested tracks of each genre, from many artists."""
    table = data.table.assign(row=np.arange(len(data.table)), genre=data.y, group=data.group)
    tested = data.folds.loc[data.folds["part"] == "test", "track_id"]  # all, or those of a split
    table = table[(table["copy"] == 0) & table["track_id"].isin(tested)]
    last = table.groupby("track_id")["excerpt"].transform("max")
    table = table[table["excerpt"] == last // 2].sample(frac=1, random_state=seed)
    table = table.assign(turn=table.groupby("group").cumcount()).sort_values(["genre", "turn"])
    return np.sort(table.groupby("genre").head(per_genre)["row"].to_numpy())


def _by_fold(networks, data, rows):
    """Go through the folds that test some of `rows`: fold, model, places in `rows`."""
    for fold, model in networks.items():
        if len(places := np.flatnonzero(data.part_of(fold).iloc[rows] == "test")):
            yield fold, model, places


def _attributions(networks, data, rows):
    """Maps of the excerpts `rows`, by the networks of one kind."""
    frames, mels = data.excerpts.shape[1:]
    masks = parts_of(mels, REGIONS) + [mask[:, np.newaxis] for mask in parts_of(frames, MOMENTS)]
    name, places, found = next(iter(networks.values())).name, [], []
    for fold, model, own in tqdm(_by_fold(networks, data, rows), desc=name, unit="fold"):
        asked = _asked(data, name, fold, rows[own])
        shared = _integrated_gradients(model, *asked)
        other = shared["features"].sum(axis=1) if isinstance(shared, dict) else np.zeros(len(own))
        lost = _occlusion(model, *asked, masks)
        places.append(own)
        found.append((_spectrogram(shared), other, _gain(model, *asked), lost))
    order = np.argsort(np.concatenate(places))
    *maps, lost = (np.concatenate(parts)[order] for parts in zip(*found, strict=True))
    lost_parts = np.split(lost, [min(REGIONS, mels)], axis=1)
    return Maps(rows, data.y[rows], pd.factorize(data.group)[0][rows], *maps, *lost_parts)


def checks(networks: dict, data: training_data.Data, maps: dict, *, seed: int = 0) -> pd.DataFrame:
    """Test whether the maps of networks can be believed, on some excerpts of three folds.

    Parameters
    ----------
    networks, data : dict of str to dict of int to keras.Model, models.Data
        Networks by name and fold (see `load_networks`), and excerpts and folds.
    maps : dict of str to Maps
        From `attributions`, by name.
    seed : int
        Of the random weights.

    Returns
    -------
    pd.DataFrame
        A row for each network. completeness: share of the evidence that integrated gradients miss;
        gradients, size, grad_cam: mean rank correlation with maps of random weights, by integrated
        gradients, their absolute values, and Grad-CAM (NaN without one); top, random: evidence lost
        when the highest tenth of the own map, or of that of random weights, is hidden; passed: less
        than 5 % is missing, the correlation is under 0.3, and hiding costs more than by random.
    """
    rows = {name: _checked(networks[name], data, own, seed) for name, own in maps.items()}
    table = pd.DataFrame.from_dict(rows, orient="index")
    alike = table["gradients"].abs() >= ALIKE
    failed = (table["completeness"] >= MISSING) | alike | (table["top"] <= table["random"])
    return table.assign(passed=~failed)


def _checked(networks, data, maps, seed):
    few = {fold: networks[fold] for fold in sorted(networks)[:CHECKED_FOLDS]}
    some = np.sort(np.concatenate([places for *_, places in _by_fold(few, data, maps.rows)]))
    some = some[np.unique(np.linspace(0, len(some) - 1, CHECKED).round().astype(int))]
    found = {"gradients": [], "size": [], "grad_cam": [], "top": [], "random": []}
    for fold, model, places in _by_fold(few, data, maps.rows[some]):
        asked = _asked(data, model.name, fold, maps.rows[some[places]])
        blank = _randomised(model, seed)
        own = maps.gradients[some[places]]
        other = _spectrogram(_integrated_gradients(blank, *asked))
        found["gradients"].extend(_rank_correlations(own, other))
        found["size"].extend(_rank_correlations(abs(own), abs(other)))
        if _last_convolution(model):
            cams = (_grad_cam(one, asked[0], asked[2]) for one in (model, blank))
            found["grad_cam"].extend(_rank_correlations(*cams))
        lost = _occlusion(model, *asked, [_highest(own), _highest(other)])
        found["top"].extend(lost[:, 0])
        found["random"].extend(lost[:, 1])
    missed = maps.gain - maps.gradients.sum(axis=(1, 2)) - maps.elsewhere
    means = {key: float(np.mean(v)) if v else np.nan for key, v in found.items()}
    return {"completeness": float(abs(missed).mean() / abs(maps.gain).mean())} | means


def _rank_correlations(a, b):
    """Spearman's correlation of each map of `a` with that of `b`; flat maps are left out."""
    pairs = [(x.ravel(), y.ravel()) for x, y in zip(a, b, strict=True) if np.ptp(x) and np.ptp(y)]
    return [spearmanr(x, y).statistic for x, y in pairs]


def _highest(maps):
    """Mask of the `HIDDEN_SHARE` of points where each map is highest."""
    flat = maps.reshape(len(maps), -1)
    limit = np.quantile(flat, 1 - HIDDEN_SHARE, axis=1, keepdims=True)
    return (flat > limit).reshape(maps.shape)
