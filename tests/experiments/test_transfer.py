"""From one corpus to another: the same recipe, no artist on both sides, both directions."""

import functools

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import song, write_sound

from genre_utils.data import auditing, corpora, splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import measurements, transfer
from genre_utils.features import audio, recipes, store
from genre_utils.models import classical
from genre_utils.workspace.study_folder import StudyFolder

GENRES = ["jazz", "rock"]
ELSEWHERE = functools.partial(measurements.refuse_foreign, elsewhere=True)
pytestmark = pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")  # of short clips, by CQT


def test_a_recording_becomes_a_spectrogram_of_the_store(tmp_path):
    for name, gain in (("a", 1.0), ("b", 0.1)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, gain * song(0, seconds=4.0), 22_050, subtype="FLOAT")
    image = transfer._converted("", tmp_path / "a.wav")
    assert image.shape == (387, 128) and image.dtype == np.float16
    assert image.min() >= 0 and image.max() > 0.9
    levels = np.unique(image.astype(float))
    assert 100 < len(levels) <= 256
    softer = transfer._converted("", tmp_path / "b.wav")
    np.testing.assert_allclose(softer.astype(float), image.astype(float), atol=0.005)


def test_the_recipe_reproduces_the_real_store(gtzan_mini, gtzan_mel80):
    images = np.load(gtzan_mel80 / "log_mel.npy", mmap_mode="r")
    bank = librosa.filters.mel(sr=22_050, n_fft=2048, n_mels=128)
    exact, estimated = [], []
    for row, name in enumerate(pd.read_csv(gtzan_mel80 / "tracks.csv")["track_id"]):
        path = gtzan_mini / "genres" / name.split(".")[0] / f"{name}.wav"
        if not path.exists():
            continue
        image = audio.store_image(soundfile.read(path, dtype="float32")[0], bank, 387).T
        real = np.asarray(images[row], dtype=float)
        apart = 256 * np.abs(image - real)  # in levels of 80 dB
        if (256 * real % 1 == 0.5).all():  # the levels are those of 80 dB
            exact.append((apart.mean(), apart.max()))
        else:  # the range of the track was estimated: a wrong one tilts all its levels alike
            line = np.polyfit(image.ravel(), real.ravel(), 1)
            tilted = 256 * np.abs(np.polyval(line, image) - real)
            estimated.append((apart.mean(), np.median(tilted)))
    assert len(exact) == 64 and len(estimated) == 25
    # a value at the edge of a level is rounded by the processor: up or down, by one level
    assert (np.max(exact, axis=0) < [1e-4, 1.01]).all()
    assert (np.max(estimated, axis=0) < [3.2, 0.25]).all()


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Two of the study's genres and one more; the study's "jazz b" is in it as "The jazz b"."""
    folder = tmp_path_factory.mktemp("data") / "images"
    folder.mkdir()
    rows = [
        (
            f"{genre}.{artist}{n}",
            genre,
            f"their {genre} {artist}" if artist != "a" else "The jazz b",
        )
        for genre in ("jazz", "polka", "rock")
        for artist in ("cdefgh" if genre == "rock" else "acdefg")
        for n in range(2)
    ]
    table = pd.DataFrame(rows, columns=["track_id", "genre", "artist"])
    table.to_csv(folder / "tracks.csv", index=False)
    images = np.random.default_rng(0).random((len(table), 387, 128)).astype(np.float16)
    images[(table["genre"] == "rock").to_numpy(), :, 50] += 1
    np.save(folder / "log_mel.npy", images)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study with recordings, whose SVM is trained."""
    base = tmp_path_factory.mktemp("transfer")
    music, study = base / "music", StudyFolder(base / "study")
    names = [f"{genre}/{artist}{n}.wav" for genre in GENRES for artist in "bcdefg" for n in "12"]
    for seed, name in enumerate(names):
        write_sound(music / name, seed=seed, seconds=1.0)
    tracks = auditing.audit(corpora.find_tracks("folder", music), music, min_seconds=0.9, n_jobs=1)
    tracks["artist"] = tracks["track_id"].str[:-5].str.replace("/", " ")
    recipe = recipes.Recipe(clip_seconds=1.0, excerpt_seconds=0.9, n_mels=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "extract", functools.partial(store.extract, n_jobs=1))
        store.extract(tracks, music, study, recipe)
    folds = splits.make_folds(tracks, folds=2, group_by="artist", seed=0)
    described = {"name": "folder", "genres": GENRES, "protocol": "cv", "synthetic": False}
    study.write(tracks=tracks, folds=folds, corpus=described, source={"folder": str(music)})
    classical.cross_validate_classical(study, "svm")
    return study


@pytest.fixture(scope="module")
def measured(study, other):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measurements, "JOBS", 1)
        transfer.measure(study, other)
    return study


def test_every_track_is_tested_by_what_learned_from_each_corpus(measured):
    record, predictions = measurements.stored(measured, "transfer", ELSEWHERE)["svm"]
    assert record["corpora"] == ["folder", "images"]
    counts = predictions.groupby(["learned", "tested"])["track_id"].nunique()
    assert (counts == 24).all() and len(counts) == 4  # without the genre that the study lacks
    assert set(predictions["y_true"]) == set(GENRES)
    assert not predictions.duplicated(["track_id", "learned", "seed"]).any()
    whose = predictions[["track_id", "group"]].drop_duplicates()
    assert whose["track_id"].is_unique  # of one group, whatever was learned from
    assert not measured.folds_done("transfer").exists()


def test_what_is_lost_is_compared_on_the_same_tracks(measured):
    table = transfer.compare(measured)
    assert len(table) == 4
    own = table.set_index(["learned", "tested"])
    across = own.loc[("folder", "images")]
    assert across["difference"] == pytest.approx(
        across["accuracy"] - own.loc[("images", "images"), "accuracy"]
    )
    assert own.loc[("images", "images"), "accuracy"] == 1  # one band tells rock
    assert list(transfer.shown(table)["tested on"]) == ["folder", "images"]


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
    transfer.measure(measured, other)


def test_what_cannot_be_compared_says_why(study, other, tmp_path):
    assert transfer.obstacle(study, other) == ""
    assert "no spectrograms" in transfer.obstacle(study, tmp_path)
    with pytest.raises(ValueError, match="no spectrograms"):
        transfer.measure(study, tmp_path)
    table = pd.read_csv(other / "tracks.csv")
    table.assign(genre="polka").to_csv(tmp_path / "tracks.csv", index=False)
    np.save(tmp_path / "log_mel.npy", np.zeros((len(table), 387, 128), np.float16))
    assert "0 genres in common" in transfer.obstacle(study, tmp_path)
    table.to_csv(tmp_path / "tracks.csv", index=False)
    np.save(tmp_path / "log_mel.npy", np.zeros((len(table), 9, 9), np.float16))
    with pytest.raises(ValueError, match="another recipe"):
        transfer.measure(study, tmp_path)
    np.save(tmp_path / "log_mel.npy", np.zeros((len(table), 387, 128), np.float16))
    theirs = study.tracks["artist"].to_numpy()
    table.assign(artist=np.resize(theirs, len(table))).to_csv(tmp_path / "tracks.csv", index=False)
    assert "the same music" in transfer.obstacle(study, tmp_path)
    ready = StudyFolder(tmp_path / "study", make=True)
    ready.write(features=study.features | {"recipe": None})
    assert "recordings are needed" in transfer.obstacle(ready, other)
