"""A study of the user's own folder from the command line: odd files, killed, resumed, its pages."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from conftest import song

from browser import check_page
from genre_utils.data.composer import collection
from genre_utils.models import cross_validation
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder
from study_runs import EPOCHS, ROOT, SMALL, chosen, command, predictions

PAGES = ["index", "01_data_preparation", "02_feature_extraction", "04_rnn", "06_comparison"]
PAGES += ["07_interpretation", "08_recognition", "appendix"]

GENRE = "pop & <b onclick=alert(2)>soul"
ODD = "=1+1 <img src=x onerror=alert(1)> $x^2$ 'a', \"b\"\n&amp; 音楽.wav"


def fill(folder):
    """Two genres of a few artists each: real music where there is some, else composed."""
    real = files.data_folder() / "gtzan_mini"
    if real.is_dir():
        shutil.copytree(real / "genres" / "jazz", folder / "jazz")
        shutil.copytree(real / "genres" / "pop", folder / GENRE)
        tracks = pd.read_csv(real / "tracks.csv").query("genre in ['jazz', 'pop']")
        tracks["path"] = tracks["path"].str.replace("genres/", "").str.replace("pop/", f"{GENRE}/")
        tracks["genre"] = tracks["genre"].replace("pop", GENRE)
        tracks.to_csv(folder / "tracks.csv", index=False)
    else:
        shape = {"artists_per_genre": 4, "tracks_per_artist": 2, "seconds": 15}
        collection.compose_corpus(folder, genres=["jazz", "pop"], **shape)
        for name in ("corpus.json", "tracks.csv"):  # nothing tells that it was composed
            (folder / name).unlink()
        (folder / "pop").rename(folder / GENRE)


@pytest.fixture(scope="module")
def own_music(tmp_path_factory):
    """A user's folder: two genres, and files as people have them."""
    base = tmp_path_factory.mktemp("own")
    fill(base)
    jazz = base / "jazz"
    (jazz / "notes.wav").write_text("this is a shopping list")
    (jazz / "empty.wav").write_bytes(b"")
    noise = np.random.default_rng(0).normal(0, 0.1, (192_000 * 7, 8))
    soundfile.write(jazz / ODD, noise, 192_000, subtype="PCM_24")  # eight channels
    os.mkfifo(jazz / "pipe.wav")
    soundfile.write(
        jazz / "<script>alert(1)</script>.wav".replace("/", "∕"), noise[:100, 0], 22_050
    )
    opposite = song(5, 15.0)
    soundfile.write(jazz / "opposite.wav", np.stack([opposite, -opposite], axis=1), 22_050)
    soundfile.write(jazz / "offset.wav", np.full(22_050 * 15, 0.3), 22_050)
    (jazz / "take.raw").write_bytes(bytes(100_000))
    system = base / "System Volume Information"  # as Windows leaves it on a stick
    system.mkdir()
    (system / "WPSettings.dat").write_bytes(b"\x0c\0\0\0")
    (system / "IndexerVolumeGuid").write_bytes(b"{\0")
    return base


@pytest.fixture(scope="module", name="arguments")
def arguments_fixture(own_music, places):
    """Command of the study."""
    profile = Path(places["CWD"]) / "own.yaml"
    settings = {"CORPUS": "folder", "CORPUS_DIR": str(own_music), "GENRES": []}
    profile.write_text(yaml.safe_dump(settings))
    return ["study", "--profile", profile, *chosen(SMALL)]


@pytest.fixture(scope="module", name="resumed")
def resumed_fixture(arguments, places):
    """Folder of a study that was killed after its first fold and started again.

    What that said is in ``said``.
    """
    study = Path(places["GENRE_REPORTS_DIR"]) / "own"
    folds = study / "folds_done" / "rnn"
    child = subprocess.Popen(
        [sys.executable, "-m", "genre_utils", *map(str, arguments)],
        env=os.environ | places, stdout=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.time() + 600
    while not list(folds.glob("*.parquet")) and time.time() < deadline:
        assert child.poll() is None, child.stdout.read()
        time.sleep(0.1)
    child.send_signal(signal.SIGKILL)
    child.wait()
    time.sleep(3)  # the notebook's kernel notices and ends too
    done = len(list(folds.glob("*.parquet")))
    assert done == 1 and not (study / "results.json").exists()
    time.sleep(2)
    assert len(list(folds.glob("*.parquet"))) == done, "an orphan trains on"
    again = command(*arguments, env=places)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "02_feature_extraction: unchanged" in again.stdout
    (study / "said").write_text(again.stdout)
    return study


def test_odd_files_are_excluded_with_a_reason_and_the_study_goes_on(resumed):
    tracks = pd.read_parquet(resumed / "tracks.parquet").set_index("track_id")
    excluded = tracks.loc[tracks["status"] == "excluded", "reason"]
    assert "not audio" in excluded["jazz/notes.wav"]
    assert "empty file" in excluded["jazz/empty.wav"]
    assert "pipe" in excluded["jazz/pipe.wav"]
    assert "0.0 s can be heard" in excluded["jazz/offset.wav"]
    assert len(excluded) == 8 and "too short" in excluded.filter(like="script").iloc[0]
    assert set(tracks.loc[[f"jazz/{ODD}", "jazz/opposite.wav"], "status"]) == {"used"}
    results = files.read_json(resumed / "results.json")
    assert results["profile"] == "own"
    assert set(results["models"]) == {"rnn"} and results["corpus"]["set_aside"] == 8
    assert set(results["corpus"]["genres"]) == {"jazz", GENRE}


def test_it_ends_with_its_headline_and_where_the_report_is(resumed):
    said = (resumed / "said").read_text()
    assert f"Report: {resumed / 'index.html'}" in said
    assert re.search(r"^rnn +0\.\d\d \[0\.\d\d to [01]\.\d\d\]", said, re.M)


def test_a_second_run_finds_nothing_to_do(resumed, arguments, places):
    done = command(*arguments, env=places)
    assert done.returncode == 0
    assert done.stdout.count("unchanged since the last run") == len(PAGES) - 2
    assert "Rendering" not in done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_every_page_stands_up_in_a_browser(resumed, page, name):
    check_page(page, resumed / f"{name}.html", synthetic=False, named="$x^2$")


def test_pages_are_those_of_the_models_and_play_nothing_of_the_music(resumed):
    assert {path.stem for path in resumed.glob("*.html")} == set(PAGES)  # MODELS is the rnn alone
    for name in set(PAGES) - {"08_recognition", "appendix"}:  # which play composed pieces
        assert "<audio" not in (resumed / f"{name}.html").read_text()


@pytest.mark.parametrize("name", PAGES)
def test_no_name_becomes_a_script(resumed, page, name):
    page.goto((resumed / f"{name}.html").as_uri())
    assert page.locator("[onerror], [onclick], img[src=x]").count() == 0
    assert "<script>alert" not in (resumed / f"{name}.html").read_text()


def test_executed_notebooks_tell_nothing_of_this_machine(resumed):
    for path in (resumed / "notebooks").glob("*.ipynb"):
        text = path.read_text()
        assert str(ROOT) not in text and str(resumed) not in text, path.name
        outputs = [o for c in nbformat.reads(text, 4).cells for o in c.get("outputs", [])]
        assert not [o for o in outputs if o.get("name") == "stderr"]
    assert str(resumed.parent) not in "".join(p.read_text() for p in resumed.glob("*.html"))


def test_a_study_killed_in_the_middle_of_a_fold_ends_as_if_undisturbed(resumed, tmp_path):
    for pattern in ("*.parquet", "features.*", "corpus.json"):
        for path in resumed.glob(pattern):
            shutil.copy(path, tmp_path)
    undisturbed, _ = cross_validation.cross_validate(StudyFolder(tmp_path), "rnn", epochs=EPOCHS)
    pd.testing.assert_frame_equal(predictions(resumed)["rnn"], undisturbed, check_exact=True)


def test_audit_lists_what_would_be_used_and_what_not(own_music, places):
    done = command("audit", own_music, env=places)
    assert done.returncode == 0
    assert "jazz/empty.wav': empty file (0 bytes)" in done.stdout
    assert "files would be used, 8 excluded" in done.stdout


def test_audit_and_study_agree(own_music, arguments, resumed, places):
    done = command("audit", own_music, "--format", "json", *arguments[1:], env=places)
    report = json.loads(done.stdout)
    told = pd.DataFrame(report["files"])[["path", "status", "reason"]]
    tracks = pd.read_parquet(resumed / "tracks.parquet")
    pd.testing.assert_frame_equal(told, tracks[["path", "status", "reason"]])
    corpus = files.read_json(resumed / "corpus.json")
    assert set(report["totals"]["genres"]) == set(corpus["genres"])
    assert report["warnings"] == corpus["warnings"][: len(report["warnings"])]
