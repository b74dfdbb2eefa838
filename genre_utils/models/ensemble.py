"""Several models asked together: the mean of their probabilities, excerpt by excerpt."""

from pathlib import Path

import pandas as pd

from genre_utils.evaluation import scoring, study_results
from genre_utils.workspace import files

#: Chosen by cross-validation on the ``train`` part of GTZAN's ten genres: see the README.
MEMBERS = ("logistic", "mlp")
KEY = ["track_id", "excerpt", "fold", "y_true"]  # of a row of predictions


def mean(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean of the probabilities in several tables, indexed by `KEY`, of the same excerpts."""
    first, *others = tables
    columns = scoring.probability_columns(first)
    return (sum((table[columns] for table in others), first[columns]) / len(tables)).reset_index()


def cross_validate(study: Path, members=MEMBERS) -> tuple[pd.DataFrame, dict]:
    """Average the stored predictions of some models, as a model called ``ensemble``.

    Every member predicted an excerpt without having met its track's artist, so their mean is out
    of fold as well: nothing is learned here.

    Parameters
    ----------
    study : Path
        Holds ``predictions/MEMBER.parquet`` and ``runs/MEMBER.json`` of each member;
        ``predictions/ensemble.parquet`` and ``runs/ensemble.json`` are written.
    members : sequence of str

    Returns
    -------
    predictions : pd.DataFrame
    run : dict
        See `cross_validation.cross_validate`; its times are those of all members together.

    Raises
    ------
    ValueError
        If the members did not predict the same excerpts in the same folds.
    """
    tables = [
        pd.read_parquet(study / "predictions" / f"{name}.parquet").set_index(KEY).sort_index()
        for name in members
    ]
    for name, table in zip(members, tables, strict=True):
        if not table.index.equals(tables[0].index):
            raise ValueError(
                f"{name} did not predict the same excerpts as {members[0]}: run notebooks 02 and "
                "05 again."
            )
    predictions = mean(tables)
    runs = [files.read_json(study / "runs" / f"{name}.json") for name in members]
    run = {
        "model": "ensemble",
        "hyperparameters": {"members": list(members)},
        **{
            key: sum(one[key] for one in runs)
            for key in ("training_seconds", "training_cpu_seconds")
        },
    }
    files.write_table(study / "predictions" / "ensemble.parquet", predictions)
    files.write_json(study / "runs" / "ensemble.json", run)
    study_results.log_holdout_access(study, run, predictions)
    return predictions, run
