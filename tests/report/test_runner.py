"""The notebooks stepped through as they are stored, what that leaves, and wrong usage."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import nbformat
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from genre_utils.report import html, profiles, runner
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder
from one_cell_study import place_fixture, run, write_notebook  # noqa: F401
from study_runs import ROOT, command, predictions

# ------------------------------------------------------------------ as they are stored


@pytest.fixture(scope="module", name="stepped")
def stepped_fixture(places):
    """What nbval says when every notebook is stepped through, as it is stored: the quick study."""
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax",
            "--nbval-current-env", *map(str, notebooks),
        ],
        env=os.environ | places, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip


@pytest.fixture(scope="module", name="quick")
def quick_fixture(stepped, places):
    """Folder of the quick study that stepping through the notebooks has left."""
    return Path(places["GENRE_REPORTS_DIR"]) / "quick"


def test_every_cell_runs_and_stored_outputs_are_what_comes_out(stepped):
    assert stepped.returncode == 0, stepped.stdout[-6000:]
    notebooks = [nbformat.read(path, 4) for path in (ROOT / "notebooks").glob("*.ipynb")]
    cells = [cell for notebook in notebooks for cell in notebook.cells]
    assert f"{sum(cell.cell_type == 'code' for cell in cells)} passed" in stepped.stdout


QUICK = {"cnn", "rnn", "hybrid", "mlp", "svm", "logistic", "knn", "ensemble"}


def test_results_are_those_of_the_predictions(quick):
    results = json.loads((quick / "results.json").read_text())
    found = predictions(quick)
    assert results["profile"] == "quick" and results["corpus"]["synthetic"] is True
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


def test_models_are_kept_with_what_recognition_needs(quick):
    for name in ("cnn", "rnn", "hybrid"):
        sidecar = files.read_json(quick / "models" / f"{name}.json")
        assert sidecar["corpus"]["synthetic"] is True
        assert sidecar["recipe"]["sr"] == 22_050 and len(sidecar["labels"]) == 4
        results = files.read_json(quick / "results.json")
        assert sidecar["accuracy"] == pytest.approx(results["models"][name]["accuracy"])


def test_nothing_in_a_figure_reaches_its_edge(quick):
    figures = sorted((quick / "figures").glob("*.png"))
    assert len(figures) > 50
    for path in figures:
        image = matplotlib.image.imread(path)[..., :3]
        edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert edge.min() > 0.75, f"{path.name} is cut off"


# ------------------------------------------------------------------ what is done again


def test_a_changed_result_is_made_again_and_what_comes_after_it(place, capsys):
    write_notebook(place, "pass", name="01_before")
    write_notebook(place, "(folder / 'results.json').write_text('{}')", name="02_results")
    write_notebook(place, "assert (folder / 'results.json').read_text() == '{}'", name="03_after")
    run()
    (place / "reports" / "study" / "results.json").write_text("altered")
    capsys.readouterr()
    run()
    said = capsys.readouterr().out
    assert re.findall(r"(\w+): (unchanged|done)", said) == [
        ("01_before", "unchanged"), ("02_results", "done"), ("03_after", "done"),
    ]  # fmt: skip
    run()
    assert capsys.readouterr().out.count("unchanged since the last run") == 3


def test_pages_are_rendered_again_after_a_notebook_that_ran_again_as_it_was(tmp_path, monkeypatch):
    rendered = []

    def render(study, *, profile, **said):
        rendered.append((profile, said))
        study.page("index").write_text("page")
        return [study.page("index")]

    monkeypatch.setattr(html, "render_study", render)
    study = StudyFolder(tmp_path)
    executed = study.executed("06_comparison")
    executed.parent.mkdir()
    for text, times in (("first", 1), ("first", 1), ("again, with what was measured since", 2)):
        executed.write_text(text)
        runner._render(study, "quick", "the same key", "small", "make study")
        assert rendered == [("quick", {"about": "small", "command": "make study"})] * times


# ------------------------------------------------------------------ what goes wrong


def test_a_missing_folder_is_a_clear_error_that_shows_the_cell(places):
    done = command(
        "study", "--profile", "quick", "--set", "CORPUS=folder", "--set", "CORPUS_DIR=nowhere",
        "--set", "STUDY_DIR=failing", env=places,
    )  # fmt: skip
    assert done.returncode == 1
    assert "01_data_preparation failed in cell" in done.stderr
    assert "locate(CORPUS, CORPUS_DIR, " in done.stderr
    assert "CorpusError: CORPUS_DIR 'nowhere' was not found" in done.stderr
    partial = Path(re.search(r"whole traceback: (\S+)", done.stderr)[1])
    assert partial.exists() and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "nonesuch"], "choose one of demo, "),
        (["--profile", "quick", "--set", "EPOCH=3"], "unknown parameter(s) EPOCH; there are"),
        (["--profile", "quick", "--from", "09"], "no such notebook"),
        (["--profile", "quick", "--set", "FOLDS=two"], "FOLDS is 'two': it needs a whole number"),
        (
            ["--profile", "quick", "--set", "MODELS=[cn]"],
            "unknown model(s) cn; there are cnn, cnn_paper",
        ),
    ],
)
def test_wrong_usage_says_what_would_be_right(places, arguments, message):
    done = command("study", *arguments, env=places)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_an_assignment_without_a_value_is_refused(places):
    for given in ("EPOCHS", "epochs=3"):
        done = command("study", "--set", given, env=places)
        assert done.returncode == 2 and "no KEY=VALUE in capitals, such as" in done.stderr


@pytest.mark.parametrize("name", ["", ".", "..", "a/..", "/", "{reports}"])
def test_a_study_never_lies_in_the_folder_of_all_studies(place, name):
    write_notebook(place, "pass")
    (place / "reports" / "a").mkdir(parents=True)
    name = name.format(reports=place / "reports")
    with pytest.raises(profiles.StudyError) as refused:
        runner.run("quick", {"STUDY_DIR": name})
    assert str(refused.value).startswith(f"STUDY_DIR is {name!r}: it needs a folder of its own")
    assert os.listdir(place / "reports") == ["a"]


@pytest.fixture(name="corpus_dir")
def corpus_dir_fixture(tmp_path, monkeypatch):
    """The CORPUS_DIR that notebooks are given, of a profile's text and an override."""
    for name in ("DATA", "REPORTS", "CACHE"):
        monkeypatch.setenv(f"GENRE_{name}_DIR", str(tmp_path / name))
    for folder in ("DATA/there", "DATA/both", "here/both", "here/near"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    seen = []
    monkeypatch.setattr(runner, "_run_notebooks", lambda _, given, *more: seen.append(given))
    monkeypatch.setattr(runner, "_render", lambda *_: None)

    def given(overrides, profile="SEED: 0"):
        (tmp_path / "mine.yaml").write_text(profile)
        runner.run(str(tmp_path / "mine.yaml"), overrides)
        return seen.pop()["CORPUS_DIR"]

    return given


def test_music_that_is_typed_may_be_here_and_that_of_a_profile_is_in_the_data_folder(
    corpus_dir, tmp_path
):
    for kept in ("there", "nowhere", "", str(tmp_path)):
        assert corpus_dir({"CORPUS_DIR": kept}) == kept  # as before: its studies are still done
    for near in ("near", "./near", "../here/near"):
        found = corpus_dir({"CORPUS_DIR": near})
        assert os.path.isabs(found) and os.path.samefile(found, tmp_path / "here" / "near")
    with pytest.raises(files.PlaceError, match=r"name './both' or '.*DATA/both'"):
        corpus_dir({"CORPUS_DIR": "both"})
    assert corpus_dir({}, profile="CORPUS_DIR: both") == "both"
