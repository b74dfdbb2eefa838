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
    "embeddings": ("embeddings.parquet", "05_hybrid"),
    "embedded": ("embeddings.npy", "05_hybrid"),
    "results": ("results.json", "06_comparison"),
}


class MissingStepError(FileNotFoundError):
    """A notebook was opened before the one that makes what it needs."""


def _stored(name: str) -> property:
    """Content of a file of `FILES`, as an attribute of a study."""
    return property(lambda study: study._read(study.place(name)))


class StudyFolder:
    """A study: what was made of its corpus, and what its models said of it.

    Tables and records are read when they are first asked for and kept until their file changes;
    what is handed out is the caller's own. `path` is absolute, or relative to
    ``$GENRE_REPORTS_DIR``; notebooks have the folder made, and libraries silenced, by `make`.
    """

    def __init__(self, path: "str | Path", *, make: bool = False):
        self.path = files.reports_folder() / path
        self._kept: dict[Path, tuple[tuple[int, int], Any]] = {}
        if make:
            self.path.mkdir(parents=True, exist_ok=True)
            files.quiet_libraries()

    def __repr__(self) -> str:
        return f"StudyFolder({str(self.path)!r})"

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.path.name

    tracks = _stored("tracks")  #: of each, used or excluded: track_id, path, genre, artist, ...
    folds = _stored("folds")  #: part of each track in each fold: fold, track_id, part, group
    corpus = _stored("corpus")  #: its name, genres, counts, hash and protocol
    source = _stored("source")  #: where the recordings or spectrograms of the corpus lie
    features = _stored("features")  #: how they were computed, and their hash
    excerpts = _stored("excerpts")  #: track, copy and excerpt of each row of the feature store
    summary = _stored("summary")  #: track_id, copy, excerpt, and statistics of features
    embeddings = _stored("embeddings")  #: track_id, patch, start (s), key: rows of embedded
    results = _stored("results")  #: all numbers of the study, computed from its predictions

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

    @property
    def embedded(self) -> np.ndarray:
        """What a pretrained network hears in patches of the clips, (rows, values), mapped."""
        self.require("embedded")
        return np.load(self.place("embedded"), mmap_mode="r", allow_pickle=False)

    def run(self, name: str) -> dict:
        """How a model was trained: settings, folds, times, versions, hashes."""
        return self._read(self.path / "runs" / f"{name}.json")

    def predictions(self, name: str) -> pd.DataFrame:
        """Out-of-fold predictions of a model, a row per excerpt: fold, y_true, p_GENRE, ..."""
        return self._read(self.path / "predictions" / f"{name}.parquet")

    def finished(self) -> list[str]:
        """Models that were trained and tested here: MODEL_ORDER, then by name."""
        runs = {path.stem for path in (self.path / "runs").glob("*.json")}
        names = runs & {path.stem for path in (self.path / "predictions").glob("*.parquet")}
        known = [name for name in model_names.MODEL_ORDER if name in names]
        return known + sorted(names - {*known})

    def require_models(self) -> list[str]:
        """Models that are `finished`; MissingStepError if none is."""
        if not self.finished():
            raise MissingStepError(
                f"no model is finished in the study {self.name!r}. Run notebook 03 or 02 first, "
                "with the same STUDY_DIR, or the whole study with `make study`."
            )
        return self.finished()

    def has(self, name: str) -> bool:
        """Whether what `FILES` calls `name` is there."""
        return self.place(name).exists()

    def require(self, name: str) -> None:
        """Refuse to go on without what `FILES` calls `name`: say which notebook to run first."""
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

    def derived(self, name: str) -> "StudyFolder":
        """A study that an experiment makes of this one for a while, beside the folds done."""
        return StudyFolder(self.folds_done(name), make=True)

    @property
    def key(self) -> Path:
        """Key of what a derived study was made of; written last."""
        return self.path / "key.json"

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

    @property
    def searches(self) -> list[Path]:
        """Databases of the trials of searches."""
        return sorted(self.tuning("", "").glob("*.db"))

    @property
    def kept(self) -> list[Path]:
        """Folders whose files later runs take as they are: folds that are trained, and models."""
        return [self.folds_done(), self.model("", "")]

    @property
    def stages(self) -> Path:
        """Folder of what is known of the notebooks that have run."""
        return self.path / "stages"

    def stage(self, notebook: str) -> Path:
        """Record of a notebook that has run."""
        return self.stages / f"{notebook}.json"

    @property
    def notebooks(self) -> list[Path]:
        """Executed copies of notebooks, in their order."""
        return sorted(self.executed("0").parent.glob("[0-9]*.ipynb"))

    def executed(self, notebook: str) -> Path:
        """Executed copy of a notebook."""
        return self.path / "notebooks" / f"{notebook}.ipynb"

    @property
    def downloads(self) -> Path:
        """Predictions of whole tracks by all models, for whoever reads the report."""
        return self.path / "predictions.csv"

    def page(self, name: str) -> Path:
        """Page of the report."""
        return self.path / f"{name}.html"

    def is_output(self, path: Path) -> bool:
        """Whether a file here is what a notebook has written, and written for good."""
        side = {self.stages, self.folds_done(), self.page("index"), self.holdout_log}
        return (
            side.isdisjoint([path, *path.parents]) and path.suffix != ".db" and path.name[0] != "."
        )

    @property
    def holdout_log(self) -> Path:
        """Log of the looks at a held-out part (see `study_results.log_holdout_access`)."""
        return self.path / "looks.csv"

    @property
    def lock(self) -> Path:
        """File that is locked while the study runs."""
        return self.path / ".lock"
