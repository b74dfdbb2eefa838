"""What networks and classical models alike learn from: rows of a study, and their folds."""

import pandas as pd

from genre_utils.evaluation import study_results
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder


class StudyData:
    """Rows of a study, an excerpt each, and the folds in which they are learned from and tested.

    `table` has track_id and excerpt of each row, `genre` and `group` are those of its track, and
    `hashes` key all that decides what is learned from the rows.
    """

    def __init__(self, study: StudyFolder, table: pd.DataFrame, folds: pd.DataFrame | None):
        self.study, self.table = study, table
        self.folds = study.folds if folds is None else folds
        self.genres = study.genres
        self.genre = table["track_id"].map(study.genre_of).to_numpy()
        group = self.folds.drop_duplicates("track_id").set_index("track_id")["group"]
        self.group = table["track_id"].map(group).to_numpy()
        self.hashes = {
            "features": study.features["sha256"],
            "folds": files.sha256(self.folds.to_csv(index=False)),
        }

    @property
    def fold_numbers(self) -> list[int]:
        """Numbers of the folds, sorted."""
        return sorted(int(fold) for fold in self.folds["fold"].unique())

    def part_of(self, fold: int) -> pd.Series:
        """Part of each row in a fold: train, validation, test."""
        part = self.folds[self.folds["fold"] == fold].set_index("track_id")["part"]
        return self.table["track_id"].map(part)

    def predicted(self, rows, fold: int, probabilities) -> pd.DataFrame:
        """Probabilities, (rows, genres), as ``predictions/NAME.parquet`` keeps them."""
        table = self.table.iloc[rows][["track_id", "excerpt"]].reset_index(drop=True)
        table = table.assign(fold=int(fold), y_true=list(self.genre[rows]))
        table[[f"p_{genre}" for genre in self.genres]] = probabilities
        return table


def store(study: StudyFolder, predictions: pd.DataFrame, run: dict) -> tuple[pd.DataFrame, dict]:
    """Store what a model predicted and how it was trained, log what was seen, and give both."""
    study.write_model(run["model"], predictions, run)
    study_results.log_holdout_access(study, run, predictions)
    return predictions, run
