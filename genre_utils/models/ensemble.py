"""Several models taken together: the mean of their probabilities, excerpt by excerpt."""

import pandas as pd

from genre_utils.evaluation import scoring
from genre_utils.models import study_data
from genre_utils.workspace import model_names
from genre_utils.workspace.study_folder import StudyFolder

KEY = ["track_id", "excerpt", "fold", "y_true"]  # of a row of predictions


def mean(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean of the probabilities in several tables, indexed by `KEY`, of the same excerpts."""
    columns = scoring.probability_columns(tables[0])
    return (sum(table[columns] for table in tables) / len(tables)).reset_index()


def average_members(study: StudyFolder) -> tuple[pd.DataFrame, dict]:
    """Average the out-of-fold predictions of some models, as a model called ``ensemble``.

    Parameters
    ----------
    study : StudyFolder
        A study in which `model_names.ENSEMBLE_MEMBERS` were trained and tested.

    Returns
    -------
    tuple of pd.DataFrame and dict
        Predictions and run, as files of the study hold them; times are those of all members. A
        ValueError if the members did not predict the same excerpts in the same folds.
    """
    members = model_names.ENSEMBLE_MEMBERS
    tables = [study.predictions(name).set_index(KEY).sort_index() for name in members]
    for name, table in zip(members, tables, strict=True):
        if not table.index.equals(tables[0].index):
            raise ValueError(
                f"{name} did not predict the same excerpts as {members[0]}: run notebooks 02 and "
                "05 again."
            )
    runs = [study.run(name) for name in members]
    run = {"model": model_names.ENSEMBLE, "hyperparameters": {"members": list(members)}}
    for key in ("training_seconds", "training_cpu_seconds"):
        run[key] = sum(one[key] for one in runs)
    return study_data.store(study, mean(tables), run)
