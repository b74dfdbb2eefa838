"""From one corpus to another: the same recipe, no artist on both sides, both directions."""

import functools

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import song, write_sound

from genre_utils.data import auditing, corpora, splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import measurements, transfer
from genre_utils.features import spectral, store
from genre_utils.models import classical
from genre_utils.report.sentences import experiments as experiments_sentences
from genre_utils.workspace import files

GENRES = ["jazz", "rock"]
pytestmark = pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")  # of short clips, by CQT


def test_a_recording_becomes_a_picture_of_the_store():
    y = song(0, seconds=4.0)
    image = transfer.as_in_store(y, 22_050)
    assert image.shape == (334, 128) and image.dtype == np.float16
    assert image.min() == 0 and image.max() > 0.9
    levels = image.astype(float) * 255
    assert abs(levels - np.round(levels)).max() < 0.1  # float16 holds no more
    louder = transfer.as_in_store(0.1 * y, 22_050)
    np.testing.assert_allclose(louder.astype(float), image.astype(float), atol=0.005)


def test_the_recipe_reproduces_the_real_store(gtzan_mini, gtzan_mel):
    ids = list(pd.read_csv(gtzan_mel / "tracks.csv")["track_id"])
    pictures = np.load(gtzan_mel / "log_mel.npy", mmap_mode="r")
    for name in ("rock.00003", "classical.00007", "metal.00005"):
        path = gtzan_mini / "genres" / name.split(".")[0] / f"{name}.wav"
        image = transfer.as_in_store(*soundfile.read(path, dtype="float32"))
        real = np.asarray(pictures[ids.index(name)], dtype=float)
        assert np.corrcoef(image.astype(float).ravel(), real.ravel())[0, 1] > 0.9


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A store of two of the study's genres and one more; an artist of the study is in it."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    folder.mkdir()
    rows = [
        (f"{genre}.{artist}{n}", genre, f"their {genre} {artist}" if artist != "a" else "jazz b")
        for genre in ("jazz", "polka", "rock")
        for artist in ("cdefgh" if genre == "rock" else "acdefg")
        for n in range(2)
    ]
    table = pd.DataFrame(rows, columns=["track_id", "genre", "artist"])
    table.to_csv(folder / "tracks.csv", index=False)
    images = np.random.default_rng(0).random((len(table), 334, 128)).astype(np.float16)
    images[(table["genre"] == "rock").to_numpy(), :, 50] += 1
    np.save(folder / "log_mel.npy", images)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study with recordings, whose SVM is trained."""
    base = tmp_path_factory.mktemp("transfer")
    music, study = base / "music", base / "study"
    names = [f"{genre}/{artist}{n}.wav" for genre in GENRES for artist in "bcdefg" for n in "12"]
    for seed, name in enumerate(names):
        write_sound(music / name, seed=seed, seconds=1.0)
    tracks = auditing.audit(corpora.find_tracks("folder", music), music, min_seconds=0.9, n_jobs=1)
    tracks["artist"] = tracks["track_id"].str[:-5].str.replace("/", " ")
    recipe = spectral.Recipe(clip_seconds=1.0, excerpt_seconds=0.9, n_mels=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "extract", functools.partial(store.extract, n_jobs=1))
        store.extract(tracks, music, study, recipe)
    files.write_json(study / "source.json", {"folder": str(music)})
    files.write_table(study / "tracks.parquet", tracks)
    folds = splits.make_folds(tracks, folds=2, group_by="artist", seed=0)
    files.write_table(study / "folds.parquet", folds)
    described = {"name": "folder", "genres": GENRES, "protocol": "cv", "synthetic": False}
    files.write_json(study / "corpus.json", described)
    classical.cross_validate(study, "svm")
    return study


@pytest.fixture(scope="module")
def measured(study, other):
    transfer.measure(study, other, n_jobs=1)
    return study


def test_every_track_is_tested_by_what_learned_from_each_corpus(measured):
    record, answers = measurements.stored(measured, "transfer", elsewhere=True)["svm"]
    assert record["corpora"] == ["folder", "pictures"]
    counts = answers.groupby(["learned", "tested"])["track_id"].nunique()
    assert (counts == 24).all() and len(counts) == 4  # without the genre that the study lacks
    assert set(answers["y_true"]) == set(GENRES)
    assert not answers.duplicated(["track_id", "learned", "seed"]).any()
    assert not (measured / "folds_done" / "transfer").exists()


def test_what_is_lost_is_compared_on_the_same_tracks(measured):
    table = transfer.compare(measured)
    assert len(table) == 4
    own = table.set_index(["learned", "tested"])
    across = own.loc[("folder", "pictures")]
    assert across["difference"] == pytest.approx(
        across["accuracy"] - own.loc[("pictures", "pictures"), "accuracy"]
    )
    assert own.loc[("pictures", "pictures"), "accuracy"] == 1  # one band tells rock
    assert list(transfer.shown(table)["tested on"]) == ["folder", "pictures"]
    said = experiments_sentences.transfer(table)
    assert "What learns from folder music" in said and "guessing (50%)" in said


def test_an_artist_of_both_corpora_is_learned_from_in_neither_when_tested():
    rows = [(f"{c}{g}{a}", c, g, f"{c} {g} {a}" if a else "both") for c in "xy" for g in GENRES
            for a in range(4)]  # fmt: skip
    tracks = pd.DataFrame(rows, columns=["track_id", "corpus", "genre", "artist"])
    for learned, tested in ("xy", "yx"):
        folds = transfer._folds(tracks, learned, tested)
        group = scoring.groups_of(folds)
        corpora = folds["track_id"].str[0]
        assert set(corpora[folds["part"] == "test"]) == {tested}
        assert set(corpora[folds["part"] != "test"]) == {learned}
        learning = folds[folds["part"] != "test"]["track_id"]
        assert "both" not in set(group[learning])


def test_what_is_stored_is_not_measured_again(measured, other, monkeypatch):
    monkeypatch.setattr(transfer, "_measured", lambda *_: pytest.fail("measured again"))
    transfer.measure(measured, other, n_jobs=1)


def test_what_cannot_be_compared_says_why(study, other, tmp_path):
    assert transfer.obstacle(study, other) == ""
    assert "no store" in transfer.obstacle(study, tmp_path)
    with pytest.raises(ValueError, match="no store"):
        transfer.measure(study, tmp_path)
    table = pd.read_csv(other / "tracks.csv")
    table.assign(genre="polka").to_csv(tmp_path / "tracks.csv", index=False)
    np.save(tmp_path / "log_mel.npy", np.zeros((len(table), 9, 9), np.float16))
    assert "0 genres in common" in transfer.obstacle(study, tmp_path)
    table.to_csv(tmp_path / "tracks.csv", index=False)
    with pytest.raises(ValueError, match="another recipe"):
        transfer.measure(study, tmp_path)
    theirs = pd.read_parquet(study / "tracks.parquet")["artist"].to_numpy()
    table.assign(artist=np.resize(theirs, len(table))).to_csv(tmp_path / "tracks.csv", index=False)
    assert "the same music" in transfer.obstacle(study, tmp_path)
    described = files.read_json(study / "features.json")
    (tmp_path / "study").mkdir()
    files.write_json(tmp_path / "study" / "features.json", described | {"recipe": None})
    assert "recordings are needed" in transfer.obstacle(tmp_path / "study", other)
