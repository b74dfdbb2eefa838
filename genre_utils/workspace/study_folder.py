"""What lies in a study's folder, and under which names: nothing else spells them."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genre_utils.workspace import files, model_names

#: Files of a study by the name of what they hold, and the notebook that makes them.
FILES = {
    "tracks": ("tracks.parquet", "01_data_preparation"),
    "corpus": ("corpus.json", "01_data_preparation"),
    "source": ("source.json", "01_data_preparation"),
    "folds": ("folds.parquet", "01_data_preparation"),
    "features": ("features.json", "02_feature_extraction"),
    "excerpts": ("features.parquet", "02_feature_extraction"),
    "log_mel": ("features.npy", "02_feature_extraction"),
    "summary": ("summary.parquet", "02_feature_extraction"),
    "results": ("results.json", "06_comparison"),
}


class MissingStepError(FileNotFoundError):
    """A notebook was opened before the one that makes what it needs."""


class StudyFolder:
    """A study: what was made of its corpus, and what its models said of it.

    Tables and records are read when they are first asked for and kept until their file changes;
    what is handed out is the caller's own.

    Parameters
    ----------
    path : str or Path
        An absolute path, or one relative to ``$GENRE_REPORTS_DIR`` (by default ``reports/``).
    make : bool
        Whether to make the folder if need be.

    Attributes
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: "str | Path", *, make: bool = False):
        self.path = files.reports_folder() / path
        self._kept: dict[Path, tuple[tuple[int, int], Any]] = {}
        if make:
            self.path.mkdir(parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"StudyFolder({str(self.path)!r})"

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.path.name

    # ------------------------------------------------------------------ what is read

    @property
    def tracks(self) -> pd.DataFrame:
        """All tracks, used or excluded: track_id, path, genre, artist, status, reason, ..."""
        return self._read(self.place("tracks"))

    @property
    def folds(self) -> pd.DataFrame:
        """Part of each track in each fold: fold, track_id, part, group."""
        return self._read(self.place("folds"))

    @property
    def corpus(self) -> dict:
        """Name, genres, counts, hash and protocol of the corpus."""
        return self._read(self.place("corpus"))

    @property
    def source(self) -> dict:
        """Where the recordings or spectrograms of the corpus lie."""
        return self._read(self.place("source"))

    @property
    def features(self) -> dict:
        """How the features were computed, and their hash."""
        return self._read(self.place("features"))

    @property
    def excerpts(self) -> pd.DataFrame:
        """Track, copy and excerpt of each row of the feature store."""
        return self._read(self.place("excerpts"))

    @property
    def summary(self) -> pd.DataFrame:
        """Statistics of handcrafted features: track_id, copy, excerpt, and a column each."""
        return self._read(self.place("summary"))

    @property
    def results(self) -> dict:
        """All numbers of the study, computed from its predictions."""
        return self._read(self.place("results"))

    @property
    def genres(self) -> list[str]:
        """Genres, in the order of the columns of predictions."""
        return self.corpus["genres"]

    @property
    def groups(self) -> pd.Series:
        """Group (artists tied by collaborations) of each track_id."""
        return self.folds.drop_duplicates("track_id").set_index("track_id")["group"]

    @property
    def genre_of(self) -> pd.Series:
        """Genre of each track_id."""
        return self.tracks.set_index("track_id")["genre"]

    @property
    def log_mel(self) -> np.ndarray:
        """Log-mel spectrograms, (rows, frames, mels), mapped from the disk and not read."""
        self.require("log_mel")
        return np.load(self.place("log_mel"), mmap_mode="r", allow_pickle=False)

    def run(self, name: str) -> dict:
        """How a model was trained: settings, folds, times, versions, hashes."""
        return self._read(self.path / "runs" / f"{name}.json")

    def predictions(self, name: str) -> pd.DataFrame:
        """Out-of-fold predictions of a model, a row per excerpt: fold, y_true, p_GENRE, ..."""
        return self._read(self.path / "predictions" / f"{name}.parquet")

    def finished(self, names=model_names.MODEL_ORDER) -> list[str]:
        """Those of the models that were trained and tested here, in their order."""
        return [name for name in names if (self.path / "runs" / f"{name}.json").exists()]

    def has(self, name: str) -> bool:
        """Whether what `FILES` calls `name` is there."""
        return self.place(name).exists()

    def require(self, name: str) -> None:
        """Check that an earlier notebook has left what `FILES` calls `name`.

        Raises
        ------
        MissingStepError
            If it has not; the message says which notebook to run first.
        """
        if not self.has(name):
            raise MissingStepError(
                f"{FILES[name][0]} is not in the study {self.name!r} yet: run the notebook "
                f"{FILES[name][1]} first, with the same STUDY_DIR, or the whole study with "
                "`make study`."
            )

    def _read(self, path: Path) -> Any:
        """Content of a file, from memory while the file is the same; the caller's own copy."""
        name = next((name for name, (file, _) in FILES.items() if self.path / file == path), "")
        if name:
            self.require(name)
        stat = path.stat()
        stamp = stat.st_mtime_ns, stat.st_size
        if path not in self._kept or self._kept[path][0] != stamp:
            reader = pd.read_parquet if path.suffix == ".parquet" else files.read_json
            self._kept[path] = stamp, reader(path)
        content = self._kept[path][1]
        return content.copy() if isinstance(content, pd.DataFrame) else copy.deepcopy(content)

    # ------------------------------------------------------------------ what is written

    def write(self, **content: pd.DataFrame | dict) -> None:
        """Write tables and records, whole or not at all, by the names of `FILES`."""
        for name, one in content.items():
            self._write(self.place(name), one)

    def write_model(self, name: str, predictions: pd.DataFrame, run: dict) -> None:
        """Write what a model predicted out of fold, and how it was trained."""
        self._write(self.path / "predictions" / f"{name}.parquet", predictions)
        self._write(self.path / "runs" / f"{name}.json", run)

    def _write(self, path: Path, content: pd.DataFrame | dict) -> None:
        write = files.write_table if isinstance(content, pd.DataFrame) else files.write_json
        write(path, content)

    # ------------------------------------------------------------------ where the rest lies

    def place(self, name: str) -> Path:
        """File of what `FILES` calls `name`."""
        return self.path / FILES[name][0]

    def model(self, name: str, suffix: str) -> Path:
        """A model fitted on all tracks: ``.keras``, its sidecar ``.json``, ``.npz``, ``.md``."""
        return self.path / "models" / f"{name}{suffix}"

    def fold(self, name: str, fold: int, key: str) -> Path:
        """Predictions of one trained fold, named by all that decides them."""
        return self.folds_done(name) / f"{fold:02d}-{key[:16]}.parquet"

    def folds_done(self, name: str = "") -> Path:
        """Folder of the folds that are trained, of one model or of all."""
        return self.path / "folds_done" / name

    def measurement(self, experiment: str, label: str) -> Path:
        """Record of a measurement that was trained anew; its answers lie beside, as parquet."""
        return self.measurements(experiment) / f"{label}.json"

    def measurements(self, experiment: str) -> Path:
        """Folder of what an experiment has measured."""
        return self.path / "predictions" / experiment

    def tuning(self, name: str, suffix: str) -> Path:
        """Search of a model's settings: ``.db`` of trials, ``.parquet`` of them, ``.json``."""
        return self.path / "tuning" / f"{name}{suffix}"

    def figure(self, name: str, suffix: str) -> Path:
        """A figure of a notebook."""
        return self.path / "figures" / f"{name}{suffix}"

    def stage(self, notebook: str) -> Path:
        """Record of a notebook that has run."""
        return self.path / "stages" / f"{notebook}.json"

    def executed(self, notebook: str) -> Path:
        """Executed copy of a notebook."""
        return self.path / "notebooks" / f"{notebook}.ipynb"

    def page(self, name: str) -> Path:
        """Page of the report."""
        return self.path / f"{name}.html"

    @property
    def holdout_log(self) -> Path:
        """Log of the looks at a held-out part (see `study_results.log_holdout_access`)."""
        return self.path / "looks.csv"

    @property
    def lock(self) -> Path:
        """File that is locked while the study runs."""
        return self.path / ".lock"

    # TODO transitional
    def __truediv__(self, name):
        return self.path / name

    def __fspath__(self):
        return str(self.path)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.path, name)
