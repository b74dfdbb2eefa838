"""A recogniser of one's own music: made in one command, tested by artists, used, and refused."""

import json
import re

import numpy as np
import pytest
from conftest import write_sound

from genre_utils.data.composer import collection
from genre_utils.evaluation import scoring
from genre_utils.models import pretrained
from genre_utils.recognition import exported_model, recogniser
from genre_utils.workspace.study_folder import StudyFolder
from study_runs import command, places_fixture  # noqa: F401


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Composed music of two genres by four artists each, and a file that is none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENRE_CACHE_DIR", str(tmp_path_factory.mktemp("composed")))
        settings = {"artists_per_genre": 4, "tracks_per_artist": 2, "seconds": 7.0, "seed": 5}
        folder = collection.compose_corpus(genres=["rock", "classical"], **settings)
    (folder / "rock" / "broken.mp3").write_bytes(b"no music")
    return folder


@pytest.fixture(scope="module")
def learned(music, places):
    arguments = ("train", music, "--name", "mine", "--set", "FOLDS=3")
    done = command(*arguments, "--set", "CLIP_SECONDS=6", "--set", "EXCERPT_SECONDS=3", env=places)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def study_of(places):
    return StudyFolder(f"{places['GENRE_REPORTS_DIR']}/mine")


def test_it_says_how_often_it_is_right_and_how_sure_that_is(learned, places):
    about = exported_model.read_sidecar(study_of(places).model("pretrained_fusion", ".npz"))
    accuracy = about["accuracy"]
    low, high = (round(100 * end) for end in accuracy["ci95"])
    assert f"right for {100 * accuracy['value']:.0f} %; with other artists" in learned
    assert f"might be {low} to {high} % (95 %). Chance level is 50 %." in learned
    assert "16 tracks by 8 artists (1 files were excluded) to tell classical, rock" in learned
    assert "early stopping" not in learned
    card = study_of(places).model("pretrained_fusion", ".md").read_text(encoding="utf-8")
    assert "musicnn learned before" in card and "3 folds by artist" in card


def test_its_accuracy_is_by_artists_that_it_had_not_met(learned, places):
    study = study_of(places)
    scoring.check_predictions(
        study.predictions("pretrained_fusion"), study.folds, study.tracks, study.genres
    )
    assert study.corpus["group_by"] == "artist"
    assert (study.folds.groupby(["fold", "group"])["part"].nunique() == 1).all()


def test_the_model_answers_recordings_as_it_did_in_the_study(learned, music, places):
    study = study_of(places)
    model = recogniser.MusicStyleRecognition(study.model("pretrained_fusion", ".npz"))
    model.thorough = True
    data = pretrained.Data(study)
    arrays, _ = pretrained.fit(data, "pretrained_fusion", np.arange(len(data.table)))
    blocks = np.hstack(pretrained._blocks(data, "pretrained_fusion", np.arange(len(data.table))))
    expected = pretrained.regression.probabilities(arrays, blocks)
    used = study.tracks[study.tracks["status"] == "used"]
    for track in used.iloc[[0, -1]].itertuples():
        answer = model.run(music / track.path)
        assert answer["predicted_label"] in ("rock", "classical") and len(answer["tags"]) == 5
        rows = (data.table["track_id"] == track.track_id).to_numpy()
        place = [data.genres.index(genre) for genre in answer["probabilities"]]
        mean = expected[rows].mean(axis=0)[place]
        assert list(answer["probabilities"])[int(mean.argmax())] == answer["predicted_label"]
    line = re.search(r"recognize FILE --model '(.+)'", learned)[1]
    path = music / used["path"].iloc[0]
    done = command("recognize", path, "--model", line, env=places)
    assert json.loads(done.stdout)["corpus"]["name"] == "folder"


def test_the_report_is_one_command_further(learned, music):
    line = learned.strip().splitlines()[-1]
    assert f"study --profile own --set 'CORPUS_DIR={music.resolve()}' --set STUDY_DIR=mine" in line
    assert "--set 'FOLDS=3'" in line


def test_too_little_music_is_refused_with_the_reason(tmp_path, places):
    for genre in ("jazz", "rock"):
        for number in range(2):
            seed = 2 * number + (genre == "rock")
            write_sound(tmp_path / genre / f"{number}.wav", seed, seconds=7.0)
    done = command("train", tmp_path, env=places)
    assert done.returncode == 1 and "under 3 artists in a genre: jazz has 2" in done.stderr
    assert command("train", tmp_path / "nowhere", env=places).returncode == 1
    (tmp_path / "bad" / "jazz").mkdir(parents=True)
    (tmp_path / "bad" / "rock").mkdir()
    for genre in ("jazz", "rock"):
        (tmp_path / "bad" / genre / "a.mp3").write_text(f"no {genre}")
    done = command("train", tmp_path / "bad", env=places)
    assert "none of the 2 files" in done.stderr and "excluded  'jazz/a.mp3'" in done.stderr
