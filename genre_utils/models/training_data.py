"""TODO models.training_data."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.features import store
from genre_utils.models import architectures
from genre_utils.workspace import evidence, files

ARRAYS = {"log_mel": "excerpts", "features": "features"}  # input of a model, attribute of `Data`


class Data:
    """What every fold of a study shares: excerpts, what they are, and the folds."""

    def __init__(self, study: Path, folds: pd.DataFrame | None = None):
        self.excerpts, self.table = store.load_excerpts(study)
        self.folds = pd.read_parquet(study / "folds.parquet") if folds is None else folds
        self.study = study
        corpus = files.read_json(study / "corpus.json")
        self.genres, self.protocol = corpus["genres"], corpus["protocol"]
        described = files.read_json(study / "features.json")
        self.excerpt_seconds = self.excerpts.shape[1] / described["frames_per_second"]
        tracks = pd.read_parquet(study / "tracks.parquet").set_index("track_id")
        self.y = self.table["track_id"].map(tracks["genre"]).map(self.genres.index).to_numpy()
        self.labels = np.eye(len(self.genres), dtype=np.float32)[self.y]
        self.hashes = {
            "features": described["sha256"],
            "folds": files.sha256(self.folds.to_csv(index=False)),
            "genres": files.sha256(self.genres),
            "code": evidence.code("network"),
        }

    @cached_property
    def features(self) -> np.ndarray:
        """Handcrafted features of each excerpt, float32 (excerpts, columns)."""
        summary = pd.read_parquet(self.study / "summary.parquet")
        keys = ["track_id", "copy", "excerpt"]
        ordered = self.table[keys].merge(summary, on=keys, how="left", validate="one_to_one")
        return ordered.drop(columns=keys).to_numpy(np.float32)

    def parts(self, name: str) -> dict[str, np.ndarray]:
        """Each input that a model reads, all rows."""
        return {key: getattr(self, ARRAYS[key]) for key in architectures.reads(name)}

    def inputs(self, name: str, rows) -> np.ndarray | dict:
        """What a model reads of the given rows: one array, or a dict of several."""
        return architectures.alone({key: values[rows] for key, values in self.parts(name).items()})

    def keep(self, wanted) -> None:
        """Drop all excerpts but those where `wanted`, bool (excerpts,), holds."""
        if not np.all(wanted):
            rows = np.flatnonzero(wanted)
            self.__dict__.pop("features", None)  # to be read anew, for these rows
            self.excerpts, self.y, self.labels = (
                self.excerpts[rows],
                self.y[rows],
                self.labels[rows],
            )
            self.table = self.table.iloc[rows].reset_index(drop=True)
            self.hashes["rows"] = files.sha256(rows)

    def show(self, excerpts) -> None:
        """Put other views, (excerpts, frames, values), in place of the spectrograms."""
        self.excerpts = excerpts
        self.hashes["view"] = files.sha256(excerpts)


def load_data(study: Path, folds: pd.DataFrame | None = None) -> Data:
    """Load the data of a study (see `Data`), by default with its own folds."""
    return Data(study, folds)


def fold_rows(data: Data, fold: int) -> dict[str, np.ndarray]:
    """Rows of the excerpts in each part of a fold; augmented copies serve training alone."""
    part = data.folds[data.folds["fold"] == fold].set_index("track_id")["part"]
    return part_rows(data, part)


def part_rows(data: Data, part: pd.Series) -> dict[str, np.ndarray]:
    """Like `fold_rows`, for the part of each track_id."""
    parts = data.table["track_id"].map(part)
    original = data.table["copy"] == 0
    return {
        "train": np.flatnonzero(parts == "train"),
        "validation": np.flatnonzero((parts == "validation") & original),
        "test": np.flatnonzero((parts == "test") & original),
    }
