"""A model of one's own: one file with a builder, trained and tested on the folds of a study.

The file holds `build` and `SETTINGS`, and `READS` where the model reads something else than
spectrograms; see ``notebooks/my_model.py``. Nothing of the package has to be changed.
"""

import contextlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pandas as pd

from genre_utils.evaluation import comparisons, study_results
from genre_utils.models import (
    architectures,
    cost,
    cross_validation,
    hyperparameters,
    training,
    training_data,
)
from genre_utils.workspace import files, model_names


class OwnModelError(ValueError):
    """The file of a model cannot be used; the message says what to change in it."""


@dataclass(frozen=True)
class OwnModel:
    """What a file says of a model.

    Attributes
    ----------
    name : str
        That of the file, without ``.py``.
    build : callable
        (x, settings) -> tensor, see `cross_validate`.
    settings : models.Hyperparameters
    reads : str
        A key of `training_data.ARRAYS`.
    sha256 : str
        Of the file: a fold that an earlier version has trained is not taken for this one's.
    """

    name: str
    build: Callable
    settings: hyperparameters.Hyperparameters
    reads: str
    sha256: str


def load(path: str | Path) -> OwnModel:
    """Read the file of a model, which is run as Python.

    Raises
    ------
    OwnModelError
        If it lacks something, or its name belongs to another model.
    FileNotFoundError
        If it is not there.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: it should hold the model.")
    name = path.stem
    if not name.isidentifier() or name.endswith(hyperparameters.TUNED):
        raise OwnModelError(f"{name!r} cannot be a model's name: rename {path.name}.")
    if name in architectures.BUILDERS or name in model_names.MODEL_ORDER:
        raise OwnModelError(f"{name} is a model of the study: give {path.name} another name.")
    spec = spec_from_file_location(f"genre_utils_own.{name}", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for wanted in ("build", "SETTINGS"):
        if not hasattr(module, wanted):
            raise OwnModelError(f"{path.name} has no {wanted}; notebooks/my_model.py shows one.")
    reads = getattr(module, "READS", "log_mel")
    if reads not in training_data.ARRAYS:
        choices = " or ".join(map(repr, training_data.ARRAYS))
        raise OwnModelError(f"{path.name}: READS is {reads!r}; choose {choices}.")
    if not isinstance(module.SETTINGS, hyperparameters.Hyperparameters):
        raise OwnModelError(f"{path.name}: SETTINGS must be a models.Hyperparameters.")
    if len(inspect.signature(module.build).parameters) != 2:
        raise OwnModelError(f"{path.name}: build must take two things, build(x, settings).")
    return OwnModel(name, module.build, module.SETTINGS, reads, files.sha256(path.read_bytes()))


@contextlib.contextmanager
def among_the_others(model: OwnModel):
    """Let `training` and `models` know a model by its name, within the block alone."""
    architectures.BUILDERS[model.name] = {model.reads: model.build}
    try:
        yield
    finally:
        del architectures.BUILDERS[model.name]


def untrained(data: training_data.Data, model: OwnModel):
    """Build the network for the data of a study, before it has learned anything.

    Raises
    ------
    OwnModelError
        If its builder does not give one vector for each excerpt.
    ValueError
        If it has a layer whose cost is not known; the message of `cost` says what to do.
    """
    with among_the_others(model):
        network = training.untrained(data, model.name, model.settings)
    given = tuple(network.layers[-1].input.shape)
    if len(given) != 2:
        raise OwnModelError(
            f"{model.name}: build must return one vector for each excerpt, (batch, units), and "
            f"returned {given}. A layer such as GlobalAveragePooling1D averages over time."
        )
    cost.multiply_adds(network)
    return network


def cross_validate(
    study: Path, path: str | Path, *, epochs: int, seed: int = 0
) -> tuple[pd.DataFrame, dict]:
    """Train and test the model of a file on every fold of a study, and store what came out.

    What goes round the builder is the study's: it gets excerpts that are normalised by their
    training part, (batch, frames, mels) or (batch, features), and returns (batch, units), from
    which one more layer makes the probabilities of the genres. Folds, early stopping, the refusal
    of leakage and the resumption at the fold are those of `cross_validation.cross_validate`.

    Parameters
    ----------
    study : Path
        See `cross_validation.cross_validate`.
    path : str or Path
        The file. The predictions carry its name.
    epochs, seed : int

    Returns
    -------
    predictions : pd.DataFrame
    run : dict
        See `cross_validation.cross_validate`.

    Raises
    ------
    OwnModelError
        See `load` and `untrained`.
    """
    model, data = load(path), training_data.load_data(study)
    untrained(data, model)
    data.hashes["own"] = model.sha256
    with among_the_others(model):
        predictions, run = cross_validation.out_of_fold(
            study, model.name, data, model.settings, epochs=epochs, seed=seed
        )
    files.write_table(study / "predictions" / f"{model.name}.parquet", predictions)
    files.write_json(study / "runs" / f"{model.name}.json", run)
    study_results.log_holdout_access(study, run, predictions)
    return predictions, run


def against_others(results: dict, name: str) -> pd.DataFrame:
    """Compare one model with each of the others, on the same tracks.

    Parameters
    ----------
    results : dict
        From `study_results.results`.
    name : str

    Returns
    -------
    pd.DataFrame
        Index other; columns difference (this model minus the other, in accuracy), low, high (95 %),
        p_value (sign flips over artists), p_holm (Holm over all rows), verdict.
    """
    rows = {}
    for pair in results["pairwise"]:
        if name in (pair["a"], pair["b"]):
            sign = 1 if pair["a"] == name else -1
            low, high = sorted(sign * limit for limit in pair["ci95"])
            rows[pair["b"] if sign == 1 else pair["a"]] = {
                **{"difference": sign * pair["difference"], "low": low, "high": high},
                "p_value": pair["p_value"],
            }
    table = pd.DataFrame(rows).T.rename_axis("other")
    if table.empty:
        return table
    table["p_holm"] = comparisons.holm(table["p_value"])
    direction = table["difference"].map(lambda value: "ahead" if value > 0 else "behind")
    return table.assign(verdict=direction.where(table["p_holm"] < 0.05, "not separable"))
