"""What networks learn from: the excerpts of a study, with their spectrograms and features."""

from functools import cached_property

import numpy as np
import pandas as pd

from genre_utils.features import store
from genre_utils.models import architectures, study_data
from genre_utils.workspace import evidence, files
from genre_utils.workspace.study_folder import StudyFolder

ARRAYS = {"log_mel": "excerpts", "features": "features"}  # input of a model, attribute of `Data`


class Data(study_data.StudyData):
    """Load what the networks of a study learn from: its excerpts, augmented copies among them.

    `excerpts`, (rows, frames, mels), are log-mel spectrograms, read where they are asked for (see
    `Excerpts`); `y` is the number of each row's genre, and `labels`, (rows, genres), the same as
    unit vectors.

    Parameters
    ----------
    study : StudyFolder
        A study whose notebooks 01 and 02 are done.
    folds : pd.DataFrame, optional
        Others than the study's own: fold, track_id, part, group.
    """

    own = ""  # file of a user's own model that learns from this

    def __init__(self, study: StudyFolder, folds: pd.DataFrame | None = None):
        self.excerpts, table = store.load_excerpts(study)
        super().__init__(study, table, folds)
        self.excerpt_seconds = self.excerpts.shape[1] / study.features["frames_per_second"]
        self.y = np.array([self.genres.index(genre) for genre in self.genre])
        self.labels = np.eye(len(self.genres), dtype=np.float32)[self.y]
        self.hashes |= {"genres": files.sha256(self.genres), "code": evidence.code("network")}

    @cached_property
    def features(self) -> np.ndarray:
        """Handcrafted features of each excerpt, float32 (rows, columns)."""
        keys = ["track_id", "copy", "excerpt"]
        summary = self.study.summary
        ordered = self.table[keys].merge(summary, on=keys, how="left", validate="one_to_one")
        return ordered.drop(columns=keys).to_numpy(np.float32)

    def parts(self, name: str) -> dict[str, np.ndarray]:
        """Each input that a model reads, all rows."""
        return {key: getattr(self, ARRAYS[key]) for key in architectures.reads(name)}

    def inputs(self, name: str, rows) -> np.ndarray | dict:
        """What a model reads of the given rows: one array, or a dict of several."""
        return architectures.alone({key: values[rows] for key, values in self.parts(name).items()})

    def rows(self, fold: int) -> dict[str, np.ndarray]:
        """Rows of each part of a fold: train, validation, test."""
        return self.rows_by(self.part_of(fold))

    def rows_by(self, part: pd.Series) -> dict[str, np.ndarray]:
        """Rows of each part, given the part of each row; augmented copies serve training alone."""
        original = self.table["copy"] == 0
        held = {name: np.flatnonzero((part == name) & original) for name in ("validation", "test")}
        return {"train": np.flatnonzero(part == "train"), **held}

    def keep(self, wanted) -> None:
        """Drop all excerpts but those where `wanted`, bool (rows,), holds."""
        if not np.all(wanted):
            rows = np.flatnonzero(wanted)
            self.__dict__.pop("features", None)  # to be read anew, for these rows
            self.excerpts = self.excerpts.only(rows)
            for name in ("genre", "group", "y", "labels"):
                setattr(self, name, getattr(self, name)[rows])
            self.table = self.table.iloc[rows].reset_index(drop=True)
            self.hashes["rows"] = files.sha256(rows)

    def show(self, excerpts) -> None:
        """Put other views, (rows, frames, values), in place of the spectrograms."""
        self.excerpts = self.excerpts.seen_as(excerpts)
        self.hashes["view"] = files.sha256(excerpts)


load_data = Data  # as notebooks call it
