"""The study from the command line: run, skip, stop, resume, fail; and its reports in a browser."""

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
from sklearn import metrics

from browser import check_page
from genre_utils import files
from genre_utils import study as runner
from study_runs import command

PAGES = ["index", "01_data_preparation", "02_feature_extraction", "03_cnn", "04_rnn"]
PAGES += ["05_hybrid", "06_comparison"]
SMALL = ["--set", "EPOCHS=2", "--set", "FOLDS=3", "--set", "MODELS=[rnn]"]


def predictions(study):
    return {path.stem: pd.read_parquet(path) for path in (study / "predictions").glob("*.parquet")}


# ------------------------------------------------------------------ the quick study


def test_a_study_ends_with_its_headline_and_where_the_report_is(quick):
    said = (quick / "said").read_text()
    assert f"Report: {quick / 'index.html'}" in said
    for model in ("cnn", "rnn", "hybrid", "svm", "knn"):
        assert re.search(rf"^{model} +0\.\d\d \[0\.\d\d to [01]\.\d\d\]", said, re.M)


def test_results_are_those_of_the_predictions(quick):
    results = json.loads((quick / "results.json").read_text())
    found = predictions(quick)
    assert results["profile"] == "quick"
    assert set(found) == set(results["models"]) == {"cnn", "rnn", "hybrid", "svm", "knn"}
    for name, table in found.items():
        columns = [c for c in table if c.startswith("p_")]
        whole = table.groupby("track_id")[columns].mean()
        y_pred = whole.idxmax(axis=1).str.removeprefix("p_")
        y_true = table.groupby("track_id")["y_true"].first()
        ours = results["models"][name]
        assert ours["accuracy"] == pytest.approx(metrics.accuracy_score(y_true, y_pred))
        assert ours["f1"] == pytest.approx(metrics.f1_score(y_true, y_pred, average="macro"))
        low, high = ours["ci95"]["accuracy"]
        assert low <= ours["accuracy"] <= high


def test_no_artist_was_trained_and_tested_on(quick):
    folds = pd.read_parquet(quick / "folds.parquet")
    artist = pd.read_parquet(quick / "tracks.parquet").set_index("track_id")["artist"]
    for _, fold in folds.assign(artist=folds["track_id"].map(artist)).groupby("fold"):
        tested = set(fold.loc[fold["part"] == "test", "artist"])
        assert tested and not tested & set(fold.loc[fold["part"] != "test", "artist"])


def test_a_second_run_finds_nothing_to_do(quick, places):
    command("study", "--profile", "quick", env=places)  # other tests step through its notebooks
    done = command("study", "--profile", "quick", env=places)
    assert done.returncode == 0
    assert done.stdout.count("unchanged since the last run") == 6
    assert "Rendering" not in done.stdout


def test_a_changed_result_is_made_again(quick, places):
    before = (quick / "results.json").read_bytes()
    (quick / "results.json").write_text("{}")
    done = command("study", "--profile", "quick", env=places)
    assert done.returncode == 0
    assert done.stdout.count("unchanged since the last run") == 5
    assert (quick / "results.json").read_bytes() == before


@pytest.mark.parametrize("name", PAGES)
def test_every_page_stands_up_in_a_browser(quick, page, name):
    check_page(page, quick / f"{name}.html", synthetic=True)


def test_executed_notebooks_tell_nothing_of_this_machine(quick):
    for path in (quick / "notebooks").glob("*.ipynb"):
        text = path.read_text()
        assert str(runner.files.ROOT) not in text and str(quick) not in text, path.name
        outputs = [o for c in nbformat.reads(text, 4).cells for o in c.get("outputs", [])]
        assert not [o for o in outputs if o.get("name") == "stderr"]
    assert str(quick.parent) not in "".join(p.read_text() for p in quick.glob("*.html"))


def test_models_are_kept_with_what_recognition_needs(quick):
    for name in ("cnn", "rnn", "hybrid"):
        sidecar = files.read_json(quick / "models" / f"{name}.json")
        assert sidecar["corpus"]["synthetic"] is True
        assert sidecar["recipe"]["sr"] == 22_050 and len(sidecar["labels"]) == 4
        results = files.read_json(quick / "results.json")
        assert sidecar["accuracy"] == pytest.approx(results["models"][name]["accuracy"])


# ------------------------------------------------------------------ the user's own folder


@pytest.fixture(scope="module")
def own_music(quick, places, tmp_path_factory):
    """A user's folder: two genres by four artists each, and files as people have them."""
    base = tmp_path_factory.mktemp("own")
    composed = Path(files.read_json(quick / "source.json")["folder"])
    listed = pd.read_csv(composed / "tracks.csv")
    listed = listed[listed["genre"].isin(["rock", "jazz"])]
    chosen = listed[listed.groupby("genre")["artist"].transform(lambda a: a.factorize()[0]) < 4]
    for path in chosen["path"]:
        (base / path).parent.mkdir(exist_ok=True)
        shutil.copy(composed / path, base / path)
    chosen.to_csv(base / "tracks.csv", index=False)
    rock = base / "rock"
    (rock / "notes.wav").write_text("this is a shopping list")
    (rock / "empty.wav").write_bytes(b"")
    noise = np.random.default_rng(0).normal(0, 0.1, (192_000 * 7, 8))
    soundfile.write(rock / "eight channels.wav", noise, 192_000, subtype="PCM_24")
    soundfile.write(
        rock / "<script>alert(1)</script>.wav".replace("/", "∕"), noise[:100, 0], 22_050
    )
    return base


def run_own(own_music, places, study):
    profile = Path(places["CWD"]) / "own.yaml"
    settings = {"CORPUS": "folder", "CORPUS_DIR": str(own_music), "GENRES": []}
    profile.write_text(yaml.safe_dump(settings))
    arguments = ["study", "--profile", profile, "--set", f"STUDY_DIR={study}"]
    return [sys.executable, "-m", "genre_utils", *map(str, arguments), *SMALL]


@pytest.fixture(scope="module")
def undisturbed(own_music, places):
    environment = os.environ | places
    done = subprocess.run(
        run_own(own_music, places, "undisturbed"), env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(places["GENRE_REPORTS_DIR"]) / "undisturbed"


def test_odd_files_are_set_aside_with_a_reason_and_the_study_goes_on(undisturbed):
    tracks = pd.read_parquet(undisturbed / "tracks.parquet").set_index("track_id")
    aside = tracks.loc[tracks["status"] == "set aside", "reason"]
    assert "not audio" in aside["rock/notes.wav"]
    assert "empty file" in aside["rock/empty.wav"]
    assert len(aside) == 3 and "too short" in aside.filter(like="script").iloc[0]
    assert tracks.loc["rock/eight channels.wav", "status"] == "used"
    results = files.read_json(undisturbed / "results.json")
    assert results["profile"] == "own"
    assert set(results["models"]) == {"rnn"} and results["corpus"]["set_aside"] == 3


def test_no_file_name_becomes_a_script(undisturbed, page):
    for name in ("index", "01_data_preparation", "06_comparison"):
        check_page(page, undisturbed / f"{name}.html", synthetic=False)
    assert "<script>alert" not in (undisturbed / "01_data_preparation.html").read_text()
    assert not (undisturbed / "03_cnn.html").exists()  # MODELS names the rnn alone


def test_a_study_killed_in_the_middle_of_a_fold_goes_on_and_ends_the_same(
    own_music, places, undisturbed
):
    study = Path(places["GENRE_REPORTS_DIR"]) / "killed"
    child = subprocess.Popen(
        run_own(own_music, places, "killed"), env=os.environ | places, stdout=subprocess.PIPE
    )
    deadline = time.time() + 300
    while not list((study / "folds_done" / "rnn").glob("*.parquet")) and time.time() < deadline:
        assert child.poll() is None, child.stdout.read()
        time.sleep(0.1)
    child.send_signal(signal.SIGKILL)
    child.wait()
    time.sleep(3)  # the notebook's kernel notices and ends too
    done = len(list((study / "folds_done" / "rnn").glob("*.parquet")))
    assert 1 <= done < 3 and not (study / "results.json").exists()
    time.sleep(2)
    assert len(list((study / "folds_done" / "rnn").glob("*.parquet"))) == done, (
        "an orphan trains on"
    )
    again = subprocess.run(
        run_own(own_music, places, "killed"),
        env=os.environ | places,
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert "02_feature_extraction: unchanged" in again.stdout
    for name, table in predictions(undisturbed).items():
        pd.testing.assert_frame_equal(table, predictions(study)[name], check_exact=True)


# ------------------------------------------------------------------ what goes wrong


def test_a_missing_folder_is_a_clear_error_that_shows_the_cell(places):
    done = command(
        "study", "--profile", "quick", "--set", "CORPUS=folder", "--set", "CORPUS_DIR=nowhere",
        "--set", "STUDY_DIR=failing", env=places,
    )  # fmt: skip
    assert done.returncode == 1
    assert "01_data_preparation failed in cell" in done.stderr
    assert "folder = corpus.locate(CORPUS, CORPUS_DIR, " in done.stderr
    assert "CorpusError: CORPUS_DIR 'nowhere' was not found" in done.stderr
    partial = Path(re.search(r"whole traceback: (\S+)", done.stderr)[1])
    assert partial.exists() and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "nonesuch"], "choose one of demo, "),
        (["--profile", "quick", "--set", "EPOCH=3"], "unknown parameter(s) EPOCH; there are"),
        (["--profile", "quick", "--from", "09"], "no such notebook"),
        (["--profile", "quick", "--set", "MODELS=[cn]"], "unknown model(s) cn; there are cnn, rnn"),
    ],
)
def test_wrong_usage_says_what_would_be_right(places, arguments, message):
    done = command("study", *arguments, env=places)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_an_assignment_without_a_value_is_refused(places):
    done = command("study", "--set", "EPOCHS", env=places)
    assert done.returncode == 2 and "KEY=VALUE" in done.stderr


def test_audit_lists_what_would_be_used_and_what_not(own_music, places):
    done = command("audit", own_music, env=places)
    assert done.returncode == 0
    assert "rock/empty.wav': empty file (0 bytes)" in done.stdout
    assert "files would be used, 3 set aside" in done.stdout


def test_every_profile_names_parameters_that_exist():
    for path in runner.PROFILES.glob("*.yaml"):
        name, parameters, about = runner.read_profile(path.stem)
        assert runner.choose_notebooks({"STUDY_DIR": name, **parameters})
        assert "minutes" in about, "a profile says how long it takes"


# ------------------------------------------------------------------ real music


def test_real_wav_files_go_from_end_to_end(places, page, gtzan_mini):
    small = ["--set", "GENRES=[classical, metal, pop]", "--set", "FOLDS=2", *SMALL[:2], *SMALL[4:]]
    done = command("study", "--profile", "gtzan-mini", *small, env=places)
    assert done.returncode == 0, done.stdout + done.stderr
    study = Path(places["GENRE_REPORTS_DIR"]) / "gtzan-mini"
    results = files.read_json(study / "results.json")
    assert results["corpus"]["tracks"] == 30 and results["corpus"]["synthetic"] is False
    check_page(page, study / "01_data_preparation.html", synthetic=False)
    text = (study / "index.html").read_text()
    assert "A check of the pipeline" in text and "<audio" not in text
