"""A study of made-up spectrograms, and a network, small enough to train in a moment."""

import contextlib

import numpy as np
import pandas as pd
import pytest

from genre_utils.data import splits
from genre_utils.workspace import files

GENRES = ["jazz", "rock"]


@contextlib.contextmanager
def uncompiled():
    """TensorFlow goes step by step: a tiny network has learned before it would be compiled."""
    import tensorflow as tf  # seconds, which not every file of tests needs

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@contextlib.contextmanager
def tiny_network(name, *, compiled=False):
    """One dense layer in place of the model `name`, for tests of what is done with networks."""
    import keras

    from genre_utils.models import architectures

    def pooled(x, settings):
        return keras.layers.GlobalAveragePooling1D()(x)

    how = contextlib.nullcontext() if compiled else uncompiled()
    with pytest.MonkeyPatch.context() as patch, how:
        patch.setitem(architectures.BUILDERS, name, {"log_mel": pooled})
        yield


def write_small_study(study, *, artists=6, tracks=2, by="genre", group_by="artist"):
    """Write a study of noise with two genres, of each so many artists with so many tracks.

    What tells tracks apart is `by` the genre (one band is louder in rock) or the artist (each has
    a spectrum of their own, which says nothing of genres).
    """
    rng = np.random.default_rng(0)
    rows = [
        (f"{genre}/{artist:02d}-{n}", genre, f"{genre} {artist}")
        for genre in GENRES
        for artist in range(artists)
        for n in range(tracks)
    ]
    table = pd.DataFrame(rows, columns=["track_id", "genre", "artist"]).assign(status="used")
    sound = rng.random((len(table), 40, 16), dtype=np.float32)
    if by == "genre":
        sound[table["genre"] == "rock", :, 3] += 1.0
    else:
        spectra = rng.normal(size=(2 * artists, 1, 16)).astype(np.float32)
        sound += spectra[pd.factorize(table["artist"])[0]]
    np.save(study / "features.npy", sound)
    index = table[["track_id"]].assign(copy=0, frames=40)
    files.write_table(study / "features.parquet", index)
    summary = index[["track_id", "copy"]].loc[index.index.repeat(5)].reset_index(drop=True)
    summary["excerpt"] = np.tile(np.arange(5), len(index))
    summary[["tempo", "brightness"]] = rng.random((len(summary), 2))
    files.write_table(study / "summary.parquet", summary)
    described = {"recipe": None, "excerpt_seconds": 0.8, "frames_per_second": 10.0, "sha256": "0"}
    files.write_json(study / "features.json", described)
    files.write_table(study / "tracks.parquet", table)
    folds = splits.make_folds(table, folds=2, group_by=group_by, seed=0)
    files.write_table(study / "folds.parquet", folds)
    corpus = {"name": "folder", "synthetic": False, "tracks": len(table), "artists": 2 * artists}
    corpus |= {"genres": GENRES, "sha256": "1" * 64, "group_by": group_by, "protocol": "cv"}
    files.write_json(study / "corpus.json", corpus)
    return study


@pytest.fixture(scope="module", name="small_study")
def small_study_fixture(tmp_path_factory):
    """A study of made-up spectrograms: two genres that differ in one band, six artists each."""
    return write_small_study(tmp_path_factory.mktemp("study"))
