"""A study of the user's own folder: odd files, file names, and a run that is killed and resumed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from browser import check_page
from genre_utils import files, synthetic, training
from study_runs import EPOCHS, SMALL, chosen, command, predictions

ODD = "=1+1 <img src=x onerror=alert(1)> $x^2$ 'a', \"b\"\n&amp; 音楽.wav"


@pytest.fixture(scope="module")
def own_music(tmp_path_factory):
    """A user's folder: two genres by four artists each, and files as people have them."""
    base = tmp_path_factory.mktemp("own")
    synthetic.compose_corpus(
        base, genres=["rock", "jazz"], artists_per_genre=4, tracks_per_artist=2, seconds=15
    )
    (base / "corpus.json").unlink()  # nothing tells that it was composed
    rock = base / "rock"
    (rock / "notes.wav").write_text("this is a shopping list")
    (rock / "empty.wav").write_bytes(b"")
    noise = np.random.default_rng(0).normal(0, 0.1, (192_000 * 7, 8))
    soundfile.write(rock / ODD, noise, 192_000, subtype="PCM_24")  # eight channels
    os.mkfifo(rock / "pipe.wav")
    soundfile.write(
        rock / "<script>alert(1)</script>.wav".replace("/", "∕"), noise[:100, 0], 22_050
    )
    return base


@pytest.fixture(scope="module", name="resumed")
def resumed_fixture(own_music, places):
    """Folder of a study that was killed after its first fold and started again."""
    study = Path(places["GENRE_REPORTS_DIR"]) / "own"
    folds = study / "folds_done" / "rnn"
    profile = Path(places["CWD"]) / "own.yaml"
    settings = {"CORPUS": "folder", "CORPUS_DIR": str(own_music), "GENRES": [], "CLIP_SECONDS": 12}
    profile.write_text(yaml.safe_dump(settings))
    arguments = [sys.executable, "-m", "genre_utils", "study", "--profile", profile, *chosen(SMALL)]
    environment = os.environ | places
    child = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE)
    deadline = time.time() + 600
    while not list(folds.glob("*.parquet")) and time.time() < deadline:
        assert child.poll() is None, child.stdout.read()
        time.sleep(0.1)
    child.send_signal(signal.SIGKILL)
    child.wait()
    time.sleep(3)  # the notebook's kernel notices and ends too
    done = len(list(folds.glob("*.parquet")))
    assert 1 <= done < 3 and not (study / "results.json").exists()
    time.sleep(2)
    assert len(list(folds.glob("*.parquet"))) == done, "an orphan trains on"
    again = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "02_feature_extraction: unchanged" in again.stdout
    return study


def test_odd_files_are_set_aside_with_a_reason_and_the_study_goes_on(resumed):
    tracks = pd.read_parquet(resumed / "tracks.parquet").set_index("track_id")
    aside = tracks.loc[tracks["status"] == "set aside", "reason"]
    assert "not audio" in aside["rock/notes.wav"]
    assert "empty file" in aside["rock/empty.wav"]
    assert "pipe" in aside["rock/pipe.wav"]
    assert len(aside) == 4 and "too short" in aside.filter(like="script").iloc[0]
    assert tracks.loc[f"rock/{ODD}", "status"] == "used"
    results = files.read_json(resumed / "results.json")
    assert results["profile"] == "own"
    assert set(results["models"]) == {"rnn"} and results["corpus"]["set_aside"] == 4


def test_no_file_name_becomes_a_script(resumed, page):
    for name in ("index", "01_data_preparation", "06_comparison"):
        check_page(page, resumed / f"{name}.html", synthetic=False)
    for name in resumed.glob("*.html"):
        assert not re.search("<script>alert|<img src=x", name.read_text()), name
    assert not (resumed / "03_cnn.html").exists()  # MODELS names the rnn alone


def test_a_study_killed_in_the_middle_of_a_fold_ends_as_if_undisturbed(resumed, tmp_path):
    for pattern in ("*.parquet", "features.*", "corpus.json"):
        for path in resumed.glob(pattern):
            shutil.copy(path, tmp_path)
    undisturbed, _ = training.cross_validate(tmp_path, "rnn", epochs=EPOCHS)
    pd.testing.assert_frame_equal(predictions(resumed)["rnn"], undisturbed, check_exact=True)


def test_audit_lists_what_would_be_used_and_what_not(own_music, places):
    done = command("audit", own_music, env=places)
    assert done.returncode == 0
    assert "rock/empty.wav': empty file (0 bytes)" in done.stdout
    assert "files would be used, 4 set aside" in done.stdout
