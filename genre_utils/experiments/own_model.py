"""A model of one's own from a file such as ``notebooks/my_model.py``, on the folds of a study."""

import contextlib
import inspect
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from genre_utils.evaluation import comparisons
from genre_utils.models import (
    architectures,
    cost,
    cross_validation,
    hyperparameters,
    study_data,
    training,
    training_data,
)
from genre_utils.workspace import files, model_names
from genre_utils.workspace.study_folder import StudyFolder


@dataclass(frozen=True)
class OwnModel:
    """What a file says of a model."""

    name: str  # that of the file
    build: Callable  # (x, settings) -> tensor
    settings: hyperparameters.Hyperparameters
    reads: str  # a key of `training_data.ARRAYS`
    sha256: str  # of the file: a fold that an earlier version has trained is not this one's


def _load(path: str | Path) -> OwnModel:
    """Read the file of a model, which is run as Python."""
    path = Path(path)
    name = path.stem
    known = (*architectures.BUILDERS, *model_names.ALL)
    if name in known or model_names.is_tuned(name) or not name.isidentifier():
        raise ValueError(f"{name!r} is no name, or that of another model: rename {path.name}.")
    found = runpy.run_path(str(path))
    build, settings = found.get("build", ""), found.get("SETTINGS", "")
    reads, wrong = found.get("READS", "log_mel"), ""
    if not callable(build) or len(inspect.signature(build).parameters) != 2:
        wrong = "it needs a function build(x, settings)"
    elif not isinstance(settings, hyperparameters.Hyperparameters):
        wrong = "it needs SETTINGS, which must be hyperparameters.Hyperparameters"
    elif reads not in training_data.ARRAYS:
        wrong = f"READS is {reads!r}; choose {' or '.join(map(repr, training_data.ARRAYS))}"
    if wrong:
        raise ValueError(f"{path.name}: {wrong}. notebooks/my_model.py shows how.")
    return OwnModel(name, build, settings, reads, files.sha256(path.read_bytes()))


@contextlib.contextmanager
def among_the_others(model: OwnModel):
    """Let `architectures` know a model by its name, within the block alone."""
    architectures.BUILDERS[model.name] = {model.reads: model.build}
    try:
        yield
    finally:
        del architectures.BUILDERS[model.name]


def build(data: training_data.Data, path: str | Path) -> keras.Model:
    """Build the network of a file for a study, before it has learned anything.

    Parameters
    ----------
    data : Data
        See `load_data`.
    path : str or Path
        The file, which is run as Python; its name is the model's.

    Returns
    -------
    keras.Model
        From excerpts to genre probabilities (batch, genres); a ValueError if the file lacks
        something, its name is taken, or `build` gives no vector per excerpt.
    """
    model = _load(path)
    with among_the_others(model):
        network = training.untrained(data, model.name, model.settings)
    given = tuple(network.layers[-1].input.shape)
    if len(given) != 2:
        raise ValueError(
            f"{model.name}: build must return one vector for each excerpt, (batch, units), and "
            f"returned {given}. A layer such as GlobalAveragePooling1D averages over time."
        )
    cost.multiply_adds(network)
    return network


def cross_validate(
    study: StudyFolder, path: str | Path, *, epochs: int, seed: int = 0
) -> tuple[pd.DataFrame, dict]:
    """Train and test the model of a file on every fold of a study, and store what came out.

    Its builder gets normalised excerpts, (batch, frames, mels) or (batch, features), and returns
    (batch, units); one more layer makes the probabilities of the genres.

    Parameters
    ----------
    study : StudyFolder
        See `cross_validate`.
    path : str or Path
        The file, whose name the predictions carry.
    epochs, seed : int
        See `cross_validate`.

    Returns
    -------
    tuple of pd.DataFrame and dict
        Predictions and run, see `cross_validate`.
    """
    model, data = _load(path), training_data.load_data(study)
    build(data, path)
    data.hashes["own"] = model.sha256
    data.own = str(Path(path).absolute())
    settings = dict.fromkeys(data.fold_numbers, model.settings)
    options = {"epochs": epochs, "seed": seed, "train": train_there}
    found = cross_validation.out_of_fold(study, model.name, data, settings, **options)
    return study_data.store(study, *found)


def train_there(label, data, *job) -> None:
    """As `cross_validation.train_there`, with the model of the file that the data name."""
    with among_the_others(_load(data.own)):
        cross_validation.train_there(label, data, *job)


def compare_with_others(results: dict, name: str) -> pd.DataFrame:
    """Compare one model with each of the others, on the same tracks.

    Parameters
    ----------
    results : dict
        What ``results.json`` holds.
    name : str
        The model.

    Returns
    -------
    pd.DataFrame
        Index other; columns difference (this model minus the other, in accuracy), low, high (95 %),
        p_value (sign-flip permutation test over artists), p_holm (Holm over all rows), verdict
        ("ahead", "behind", "not significantly different").
    """
    pairs = [comparisons.turned(p) if p["b"] == name else p for p in results["pairwise"]]
    rows = [[p["b"], p["difference"], *p["ci95"], p["p_value"]] for p in pairs if p["a"] == name]
    table = pd.DataFrame(rows, columns=["other", "difference", "low", "high", "p_value"])
    table["p_holm"] = comparisons.holm(table["p_value"])
    direction = np.where(table["difference"] > 0, "ahead", "behind")
    verdict = np.where(table["p_holm"] < 0.05, direction, "not significantly different")
    return table.assign(verdict=verdict).set_index("other")
