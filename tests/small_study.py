"""A study of made-up spectrograms, and a network, small enough to train in a moment."""

import contextlib
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from genre_utils.data import splits
from genre_utils.interpretation import genre_relations
from genre_utils.workspace.study_folder import StudyFolder

GENRES = ["jazz", "rock"]
THREE_GENRES = ["rock", "jazz", "pop"]  # not in alphabetical order


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


def write_small_study(folder, *, artists=6, tracks=2, by="genre", group_by="artist"):
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
    study = StudyFolder(folder)
    np.save(study.place("log_mel"), sound)
    index = table[["track_id"]].assign(copy=0, frames=40)
    summary = index[["track_id", "copy"]].loc[index.index.repeat(5)].reset_index(drop=True)
    summary["excerpt"] = np.tile(np.arange(5), len(index))
    summary[["tempo", "brightness"]] = rng.random((len(summary), 2))
    described = {"recipe": None, "excerpt_seconds": 0.8, "frames_per_second": 10.0, "sha256": "0"}
    folds = splits.make_folds(table, folds=2, group_by=group_by, seed=0)
    corpus = {"name": "folder", "synthetic": False, "tracks": len(table), "artists": 2 * artists}
    corpus |= {"genres": GENRES, "sha256": "1" * 64, "group_by": group_by, "protocol": "cv"}
    study.write(tracks=table, folds=folds, corpus=corpus)
    study.write(excerpts=index, summary=summary, features=described)
    return study


def copied(study, place):
    """A copy of a study that a test may change."""
    return StudyFolder(shutil.copytree(study.path, place))


@pytest.fixture(scope="module", name="small_study")
def small_study_fixture(tmp_path_factory):
    """A study of made-up spectrograms: two genres that differ in one band, six artists each."""
    return write_small_study(tmp_path_factory.mktemp("study"))


def made_up_predictions(predicted, true, groups=None, genres=("jazz", "pop", "rock")):
    """Predictions that give 0.8 to what each model predicts, (models, tracks)."""
    predicted, count = np.asarray(predicted), len(genres)
    p = np.full((*predicted.shape, count), 0.2 / (count - 1))
    np.put_along_axis(p, predicted[..., np.newaxis], 0.8, axis=2)
    names = [genres[k] for k in true]
    groups = range(len(true)) if groups is None else groups
    ids = [f"t{k:03d}" for k in range(len(true))]
    tracks = pd.DataFrame({"track_id": ids, "fold": 0, "y_true": names, "group": groups})
    tracks = tracks.assign(artist=tracks["group"].astype(str))
    models = [f"m{k}" for k in range(len(predicted))]
    return genre_relations.Predictions(models, list(genres), tracks, p)


def made_up_maps(factor=1.0, names=("a", "b")):
    """Maps of 40 excerpts of noise, 12 frames of 16 bands, and the data they are of."""
    rng, count = np.random.default_rng(0), len(names)
    values, y = factor * rng.normal(0.3, 1, (40, 12, 16)), np.arange(40) % count
    maps = SimpleNamespace(
        rows=np.arange(40), genre=y, group=np.arange(40) // (2 * count) * count + y,
        gradients=values, regions=values[:, 0, :8], moments=values[:, 1, :6],
    )  # fmt: skip
    return maps, SimpleNamespace(genres=list(names), excerpts=rng.random((40, 12, 16)))


@pytest.fixture(name="study")
def statistics_fixture(tmp_path):
    """Feature statistics of nine artists of each of three genres, two tracks by each of them."""
    rng = np.random.default_rng(0)
    rows = [
        (f"{genre}{artist}.{n}", genre, f"{genre} {artist}")
        for genre in THREE_GENRES
        for artist in range(9)
        for n in range(2)
    ]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist"]).assign(status="used")
    summary = tracks[["track_id"]].merge(pd.DataFrame({"copy": [0, 1]}), how="cross")
    summary = summary.merge(pd.DataFrame({"excerpt": range(3)}), how="cross")
    genre = np.repeat(np.arange(3), 18 * 6)
    values = {f"mfcc_{k:02d}_mean": rng.normal(size=len(summary)) for k in range(1, 4)}
    values["mfcc_01_mean"] += 2.0 * genre
    values["chroma_01_std"] = 1000 * rng.normal(size=len(summary))  # only scaling tames it
    folds = splits.make_folds(tracks, folds=3, group_by="artist", seed=0)
    study = StudyFolder(tmp_path)
    study.write(tracks=tracks, folds=folds, corpus={"genres": THREE_GENRES, "protocol": "cv"})
    study.write(summary=summary.assign(**values), features={"sha256": "0"})
    return study
