"""A study of made-up spectrograms, small enough to train a network in seconds."""

import numpy as np
import pandas as pd
import pytest

from genre_utils import files, splits

GENRES = ["jazz", "rock"]


@pytest.fixture(scope="module", name="small_study")
def small_study_fixture(tmp_path_factory):
    """A study of made-up spectrograms: two genres that differ in one band, six artists each."""
    study = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    rows = [
        (f"{genre}/{artist}{n}", genre, f"{genre} {artist}")
        for genre in GENRES
        for artist in "abcdef"
        for n in range(2)
    ]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist"]).assign(status="used")
    sound = rng.random((len(tracks), 40, 16), dtype=np.float32)
    sound[tracks["genre"] == "rock", :, 3] += 1.0
    np.save(study / "features.npy", sound)
    index = tracks[["track_id"]].assign(copy=0, frames=40)
    files.write_table(study / "features.parquet", index)
    summary = index[["track_id", "copy"]].loc[index.index.repeat(5)].reset_index(drop=True)
    summary["excerpt"] = np.tile(np.arange(5), len(index))
    summary[["tempo", "brightness"]] = rng.random((len(summary), 2))
    files.write_table(study / "summary.parquet", summary)
    described = {"recipe": None, "excerpt_seconds": 0.8, "frames_per_second": 10.0, "sha256": "0"}
    files.write_json(study / "features.json", described)
    files.write_table(study / "tracks.parquet", tracks)
    folds = splits.make_folds(tracks, folds=2, group_by="artist", seed=0)
    files.write_table(study / "folds.parquet", folds)
    corpus = {"name": "folder", "synthetic": False, "tracks": 24, "artists": 12}
    files.write_json(
        study / "corpus.json",
        corpus | {"genres": GENRES, "sha256": "1", "group_by": "artist", "protocol": "cv"},
    )
    return study
