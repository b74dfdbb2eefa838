"""What a model listens to: which parts of its input its answer rests on.

What is explained is the *evidence* for a genre: by how much its log-probability exceeds the mean
log-probability of all genres. It is the network's output before the softmax, less its mean over
the genres, so that it goes on growing where a probability is all but 1, and whatever would raise
all genres alike is left out. Every track is shown only to the model of the fold that never met it.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers
from scipy.stats import spearmanr
from tqdm import tqdm

from genre_utils.evaluation import study_results
from genre_utils.models import architectures, cross_validation, hyperparameters, training_data

STEPS = 32  # points of the path that gradients are averaged over
BATCH = 256  # excerpts, or points of their paths, that are computed together
REGIONS = 8  # parts of the mel axis, and
MOMENTS = 6  # parts of an excerpt, that are hidden one at a time
HIDDEN_SHARE = 0.1  # of a spectrogram's points that `checks` hides
CHECKED, CHECKED_FOLDS = 24, 3  # excerpts that `checks` looks at, and the folds they are from
PAPER_NETWORKS = ("cnn", "rnn", "hybrid")


@dataclass(frozen=True)
class Maps:
    """What excerpts owe the evidence for their own genre to, by one kind of network.

    Attributes
    ----------
    rows : np.ndarray of int, shape (n,)
        Excerpts of `training_data.Data`.
    gradients : np.ndarray, shape (n, frames, mels)
        Integrated gradients of the spectrogram.
    elsewhere : np.ndarray, shape (n,)
        Sum of the integrated gradients of the handcrafted features; 0 where they are not read.
    gain : np.ndarray, shape (n,)
        Evidence for the excerpt less that for the baseline: what all of these should sum to.
    regions, moments : np.ndarray, shape (n, REGIONS), (n, MOMENTS)
        Evidence that is lost when a part of the mel axis, or of the time, is hidden.
    """

    rows: np.ndarray
    gradients: np.ndarray
    elsewhere: np.ndarray
    gain: np.ndarray
    regions: np.ndarray
    moments: np.ndarray


# ---------------------------------------------------------------------------- the networks


def finished_networks(study: Path) -> list[str]:
    """Networks that the study has results of, in the order of `model_names.MODEL_ORDER`."""
    names = study_results.finished_models(study)
    return [
        name for name in names if name.removesuffix(hyperparameters.TUNED) in architectures.BUILDERS
    ]


def choose_networks(study: Path, wanted=()) -> list[str]:
    """Networks to look at: those wanted, or else the paper's, or else the first three there are.

    Raises
    ------
    ValueError
        If one is wanted that the study has no results of.
    """
    finished = finished_networks(study)
    unknown = [name for name in wanted if name not in finished]
    if unknown:
        raise ValueError(
            f"NETWORKS names {', '.join(unknown)}, which this study has no results of; "
            f"it has {', '.join(finished) or 'no network'}."
        )
    return list(wanted) or [n for n in PAPER_NETWORKS if n in finished] or finished[:3]


def load_networks(study: Path, names) -> tuple[dict[str, dict], list[str]]:
    """Load the network of every fold, for each of `names`.

    Returns
    -------
    networks : dict of str to dict of int to keras.Model
        By name and fold; without those whose folds are not all there.
    missing : list of str
        Names of these. A stored report does not hold the networks of single folds.
    """
    folds = sorted(pd.read_parquet(study / "folds.parquet")["fold"].unique())
    networks, missing = {}, []
    jobs = list(itertools.product(names, folds))
    for name, fold in tqdm(jobs, desc="networks of the folds", unit="network", mininterval=0.5):
        if name in missing:
            continue
        try:
            loaded = cross_validation.fold_model(study, name, fold)
        except FileNotFoundError:
            missing.append(name)
            networks.pop(name, None)
        else:
            networks.setdefault(name, {})[int(fold)] = loaded
    return networks, missing


def reads_spectrogram(name: str) -> bool:
    """Whether a network reads the log-mel spectrogram."""
    return "log_mel" in architectures.reads(name)


def last_convolution(model: keras.Model) -> str | None:
    """Name of the last convolution of a network; None if it has none."""
    names = [x.name for x in model.layers if isinstance(x, layers.Conv1D | layers.Conv2D)]
    return names[-1] if names else None


def evidence_model(model: keras.Model, layer: str | None = None) -> keras.Model:
    """A model that gives the evidence for each genre, shape (batch, genres).

    Parameters
    ----------
    model : keras.Model
        Ends in the layer ``genre``, a softmax.
    layer : str, optional
        Name of a layer whose output is given as well, before the evidence.
    """
    end = model.get_layer("genre")
    kernel, bias = end.get_weights()
    centred = layers.Dense(len(bias), name="evidence")
    output = centred(end.input)
    centred.set_weights([kernel - kernel.mean(axis=1, keepdims=True), bias - bias.mean()])
    return keras.Model(model.input, [model.get_layer(layer).output, output] if layer else output)


def randomised(model: keras.Model, *, seed: int = 0) -> keras.Model:
    """The same network with fresh random weights, but the same normalisation of its input.

    For the model randomisation test of Adebayo et al. (2018): a map that does not change with the
    weights shows the input and not what was learned.
    """
    keras.utils.set_random_seed(seed)
    return keras.models.clone_model(model)


def outputs(model: keras.Model, x) -> np.ndarray:
    """What a model gives for `x`, some rows at a time, without compiling anything."""
    count = len(tf.nest.flatten(x)[0])
    parts = [
        model(tf.nest.map_structure(lambda a, k=k: a[k : k + BATCH], x), training=False).numpy()
        for k in range(0, count, BATCH)
    ]
    return np.concatenate(parts)


# ---------------------------------------------------------------------------- maps


def baseline(data: training_data.Data, name: str, fold: int):
    """An input that stands for nothing in particular: the mean over a fold's training part.

    For a spectrogram it is the mean spectrum, the same in every frame: a steady sound with as much
    in each band as usual. Silence would not do: no network has met a silent excerpt, and from a
    silent baseline the lack of a sound can never speak for a genre.

    Returns
    -------
    np.ndarray or dict of np.ndarray
        As the model takes it, without the first axis.
    """
    train = training_data.fold_rows(data, fold)["train"]
    means = {}
    for key, values in data.parts(name).items():
        mean = values[train].mean(axis=tuple(range(values.ndim - 1)), dtype=np.float64)
        means[key] = np.broadcast_to(mean.astype(np.float32), values.shape[1:])
    return architectures.alone(means)


def spectrogram(x) -> np.ndarray:
    """The log-mel part of what a network takes in, which may be all of it."""
    return x["log_mel"] if isinstance(x, dict) else x


def integrated_gradients(model: keras.Model, x, start, genre, *, steps: int = STEPS):
    """Share out the evidence for a genre among all points of the input.

    Each point gets its difference from the baseline times the mean gradient on the straight path
    from there (Sundararajan, Taly, Yan 2017), taken at the nodes of Gauss and Legendre. All of
    them sum to the gain in evidence over the baseline.

    Parameters
    ----------
    model : keras.Model
    x : np.ndarray or dict of np.ndarray, shape (n, ...)
        As the model takes it.
    start : np.ndarray or dict of np.ndarray, shape (...)
        Where the path begins (see `baseline`).
    genre : np.ndarray of int, shape (n,)
        Whose evidence is explained.
    steps : int

    Returns
    -------
    np.ndarray or dict of np.ndarray, shape (n, ...)
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    nodes, weights = (nodes + 1) / 2, weights / 2
    evidence, size = evidence_model(model), max(1, BATCH // steps)

    def shared(end, begin, slopes):
        slopes = slopes.numpy().reshape(len(end), steps, *begin.shape)
        return (end - begin) * np.tensordot(slopes, weights, (1, 0))

    found = []
    for k in range(0, len(genre), size):
        ends = tf.nest.map_structure(lambda a, k=k: a[k : k + size], x)
        path = tf.nest.map_structure(lambda a, b: _between(a, b, nodes), ends, start)
        slopes = _gradients(evidence, path, np.repeat(genre[k : k + size], steps))
        found.append(tf.nest.map_structure(shared, ends, start, slopes))
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts).astype(np.float32), *found)


def _between(x, start, nodes):
    """Points on the way from a baseline to each input: (n, ...) -> (n * nodes, ...)."""
    nodes = nodes.reshape(-1, *[1] * start.ndim)
    points = start + nodes * (x[:, np.newaxis] - start)
    return tf.constant(points.reshape(-1, *start.shape), tf.float32)


def _gradients(evidence, x, genre):
    """Gradient of the evidence for each row's genre with respect to x."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        chosen = tf.gather(evidence(x, training=False), genre, axis=1, batch_dims=1)
    return tape.gradient(chosen, x)


def grad_cam(model: keras.Model, x, genre) -> np.ndarray:
    """Where the last convolution finds what speaks for a genre (Selvaraju et al. 2017).

    Each of its patterns is weighted by the mean gradient of the evidence, their maps are summed,
    and what speaks against the genre is cut off.

    Parameters
    ----------
    model : keras.Model
    x : np.ndarray or dict of np.ndarray, shape (n, ...)
    genre : np.ndarray of int, shape (n,)

    Returns
    -------
    np.ndarray, shape (n, frames, mels)
        In the size of the spectrogram, though it is not as fine; the same for all bands where the
        convolution runs over time alone.

    Raises
    ------
    ValueError
        If the network has no convolution.
    """
    name = last_convolution(model)
    if name is None:
        raise ValueError(f"{model.name} has no convolution, and Grad-CAM needs one.")
    with tf.GradientTape() as tape:
        maps, evidence = evidence_model(model, name)(x, training=False)
        chosen = tf.gather(evidence, genre, axis=1, batch_dims=1)
    slopes = tape.gradient(chosen, maps)
    places = list(range(1, len(maps.shape) - 1))  # axes of time, and of frequency if there is one
    weights = tf.reduce_mean(slopes, axis=places, keepdims=True)
    found = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
    found = found if len(places) == 2 else found[:, :, tf.newaxis]
    return tf.image.resize(found, spectrogram(x).shape[1:])[..., 0].numpy()


def hide(x, start, mask):
    """Put the baseline's spectrogram in the place of that of `x` where `mask` is true."""
    hidden = np.where(mask, spectrogram(start), spectrogram(x)).astype(np.float32)
    return x | {"log_mel": hidden} if isinstance(x, dict) else hidden


def occlusion(model: keras.Model, x, start, genre, masks) -> np.ndarray:
    """Evidence that is lost when a part of the spectrogram is hidden (Zeiler, Fergus 2014).

    Parameters
    ----------
    model, x, start, genre
        See `integrated_gradients`; what is hidden looks like the baseline.
    masks : sequence of np.ndarray of bool
        What to hide, each of a shape that fits (n, frames, mels).

    Returns
    -------
    np.ndarray, shape (n, masks)
    """
    views = [x, *(hide(x, start, mask) for mask in masks)]
    together = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *views)
    evidence = outputs(evidence_model(model), together).reshape(len(views), len(genre), -1)
    before, *after = evidence[:, np.arange(len(genre)), genre]
    return before[:, np.newaxis] - np.stack(after, axis=1)


def gain(model: keras.Model, x, start, genre) -> np.ndarray:
    """Evidence for each row's genre less that for the baseline, shape (n,)."""
    evidence = evidence_model(model)
    begin = outputs(evidence, tf.nest.map_structure(lambda a: a[np.newaxis], start))
    return outputs(evidence, x)[np.arange(len(genre)), genre] - begin[0, genre]


def parts_of(size: int, count: int) -> list[np.ndarray]:
    """Masks of about equal parts of an axis, bool (size,); no more of them than it has places."""
    owner = np.arange(size) * min(count, size) // size
    return [owner == part for part in range(min(count, size))]


# ---------------------------------------------------------------------------- many excerpts


def tested_in(data: training_data.Data) -> pd.Series:
    """Fold that tests each track_id; with a corpus's own split, not all tracks are tested."""
    return data.folds[data.folds["part"] == "test"].set_index("track_id")["fold"]


def examples(data: training_data.Data, groups: pd.Series, per_genre: int, *, seed: int = 0):
    """Rows of the middle excerpts of some tested tracks of each genre, from many artists.

    Parameters
    ----------
    data : training.Data
    groups : pd.Series
        Group (artist component) of each track_id; they take turns.
    per_genre : int
        At most.
    seed : int

    Returns
    -------
    np.ndarray of int, shape (n,)
    """
    table = data.table.assign(row=np.arange(len(data.table)), genre=data.y)
    table = table[(table["copy"] == 0) & table["track_id"].isin(tested_in(data).index)]
    last = table.groupby("track_id")["excerpt"].transform("max")
    table = table[table["excerpt"] == last // 2].sample(frac=1, random_state=seed)
    turn = table.groupby(table["track_id"].map(groups)).cumcount()
    table = table.assign(turn=turn).sort_values(["genre", "turn"], kind="stable")
    return np.sort(table.groupby("genre").head(per_genre)["row"].to_numpy())


def by_fold(networks: dict, data: training_data.Data, rows):
    """Go through the folds that test some of `rows`: fold, model, places in `rows`."""
    fold = data.table["track_id"].iloc[rows].map(tested_in(data)).to_numpy()
    for one, model in networks.items():
        if len(places := np.flatnonzero(fold == one)):
            yield one, model, places


def listen(networks: dict, data: training_data.Data, rows) -> Maps:
    """Explain the evidence for the true genres of excerpts, by networks that never met them.

    Parameters
    ----------
    networks : dict of int to keras.Model
        One kind of network, by fold (see `load_networks`).
    data : training.Data
    rows : np.ndarray of int, shape (n,)
    """
    frames, mels = data.excerpts.shape[1:]
    masks = parts_of(mels, REGIONS) + [mask[:, np.newaxis] for mask in parts_of(frames, MOMENTS)]
    name = next(iter(networks.values())).name
    found = {"place": [], "gradients": [], "elsewhere": [], "gain": [], "lost": []}
    with tqdm(total=len(rows), desc=f"{name}, excerpts", unit="excerpt") as bar:
        for fold, model, places in by_fold(networks, data, rows):
            given = data.inputs(name, rows[places]), baseline(data, name, fold)
            genre = data.y[rows[places]]
            shared = integrated_gradients(model, *given, genre)
            other = shared["features"].sum(axis=1) if isinstance(shared, dict) else 0 * genre
            found["place"].append(places)
            found["gradients"].append(spectrogram(shared))
            found["elsewhere"].append(other)
            found["gain"].append(gain(model, *given, genre))
            found["lost"].append(occlusion(model, *given, genre, masks))
            bar.update(len(places))
    order = np.argsort(np.concatenate(found.pop("place")))
    whole = {key: np.concatenate(values)[order] for key, values in found.items()}
    regions, moments = np.split(whole.pop("lost"), [min(REGIONS, mels)], axis=1)
    return Maps(rows, **whole, regions=regions, moments=moments)


def checks(
    networks: dict, data: training_data.Data, maps: Maps, *, seed: int = 0
) -> dict[str, float]:
    """Whether the maps of a network can be believed, on some excerpts of `CHECKED_FOLDS` folds.

    Returns
    -------
    dict
        "completeness": mean of what the integrated gradients miss of the gain in evidence, over
        the mean gain, all as absolute values. "gradients" and "grad_cam": mean rank correlation
        (Spearman) with the map of a network of random weights; NaN where there is no Grad-CAM.
        "size": that of the absolute values of the integrated gradients, which is higher, as both
        are 0 where an excerpt is like the baseline.
        "top" and "random": evidence lost, on average, when the `HIDDEN_SHARE` of the points that
        stand highest in the network's own map is hidden, or in that of random weights.
    """
    few = {fold: networks[fold] for fold in sorted(networks)[:CHECKED_FOLDS]}
    some = np.sort(np.concatenate([places for *_, places in by_fold(few, data, maps.rows)]))
    some = some[np.unique(np.linspace(0, len(some) - 1, CHECKED).round().astype(int))]
    name = next(iter(networks.values())).name
    found = {"gradients": [], "size": [], "grad_cam": [], "top": [], "random": []}
    for fold, model, places in by_fold(few, data, maps.rows[some]):
        chosen = some[places]
        rows = maps.rows[chosen]
        x, start, genre = data.inputs(name, rows), baseline(data, name, fold), data.y[rows]
        blank = randomised(model, seed=seed)
        own, other = (
            maps.gradients[chosen],
            spectrogram(integrated_gradients(blank, x, start, genre)),
        )
        found["gradients"].extend(_rank_correlations(own, other))
        found["size"].extend(_rank_correlations(abs(own), abs(other)))
        if last_convolution(model):
            cams = grad_cam(model, x, genre), grad_cam(blank, x, genre)
            found["grad_cam"].extend(_rank_correlations(*cams))
        lost = occlusion(model, x, start, genre, [_highest(own), _highest(other)])
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


def embeddings(networks: dict, data: training_data.Data) -> pd.DataFrame:
    """What enters the last layer of the network that never met a track, mean over its excerpts.

    Those of different folds are not comparable: each network has directions of its own.

    Returns
    -------
    pd.DataFrame
        Indexed by fold and track_id; one column for each unit.
    """
    tables = []
    for fold, model in networks.items():
        hidden = keras.Model(model.input, model.get_layer("genre").input)
        rows = training_data.fold_rows(data, fold)["test"]
        values = pd.DataFrame(outputs(hidden, data.inputs(model.name, rows)))
        means = values.groupby(data.table["track_id"].to_numpy()[rows]).mean()
        tables.append(pd.concat({fold: means}, names=["fold", "track_id"]))
    return pd.concat(tables)
