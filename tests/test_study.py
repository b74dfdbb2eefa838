"""The quick study from the command line: run, skip, repair, fail; its pages, its notebooks."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from sklearn import metrics

from browser import check_page
from genre_utils import files
from genre_utils import study as runner
from study_runs import ROOT, command, predictions

PAGES = ["index", "01_data_preparation", "02_feature_extraction", "03_cnn", "04_rnn"]
PAGES += ["05_hybrid", "06_comparison", "07_interpretation", "08_recognition"]


# ------------------------------------------------------------------ the quick study


@pytest.fixture(scope="module", name="quick")
def quick_fixture(places):
    """Folder of the finished quick study; its standard output is in ``said``."""
    done = command("study", "--profile", "quick", env=places)
    assert done.returncode == 0, done.stdout + done.stderr
    study = Path(places["GENRE_REPORTS_DIR"]) / "quick"
    (study / "said").write_text(done.stdout)
    return study


def test_a_study_ends_with_its_headline_and_where_the_report_is(quick):
    said = (quick / "said").read_text()
    assert f"Report: {quick / 'index.html'}" in said
    for model in ("cnn", "rnn", "hybrid", "svm", "knn"):
        assert re.search(rf"^{model} +0\.\d\d \[0\.\d\d to [01]\.\d\d\]", said, re.M)


QUICK = {"cnn", "rnn", "hybrid", "mlp", "svm", "logistic", "knn", "ensemble"}


def test_results_are_those_of_the_predictions(quick):
    results = json.loads((quick / "results.json").read_text())
    found = predictions(quick)
    assert results["profile"] == "quick"
    assert set(found) == set(results["models"]) == QUICK
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
    done = command("study", "--profile", "quick", env=places)
    assert done.returncode == 0
    assert done.stdout.count("unchanged since the last run") == 8
    assert "Rendering" not in done.stdout


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


def test_every_notebook_runs_as_it_is_stored(quick, places, tmp_path):
    """Stepping through, by nbval: stored outputs are compared, every cell must run.

    In a copy of the quick study, so that folds that were trained there are read.
    """
    shutil.copytree(quick, tmp_path / "quick")
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax",
            "--nbval-current-env", *map(str, notebooks),
        ],
        env=os.environ | places | {"GENRE_REPORTS_DIR": str(tmp_path)},
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    cells = [cell for path in notebooks for cell in nbformat.read(path, as_version=4).cells]
    assert f"{sum(cell.cell_type == 'code' for cell in cells)} passed" in done.stdout


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
        (
            ["--profile", "quick", "--set", "MODELS=[cn]"],
            "unknown model(s) cn; there are cnn, cnn1d",
        ),
    ],
)
def test_wrong_usage_says_what_would_be_right(places, arguments, message):
    done = command("study", *arguments, env=places)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_an_assignment_without_a_value_is_refused(places):
    done = command("study", "--set", "EPOCHS", env=places)
    assert done.returncode == 2 and "KEY=VALUE" in done.stderr


def test_every_profile_names_parameters_that_exist():
    for path in runner.PROFILES.glob("*.yaml"):
        name, parameters, about = runner.read_profile(path.stem)
        assert runner.choose_notebooks({"STUDY_DIR": name, **parameters})
        assert "minutes" in about, "a profile says how long it takes"
