"""README.md and docs/ tell the truth: their numbers are of the stored results, what they name exists."""

import re

import pytest

import fill
from genre_utils.report import profiles
from genre_utils.workspace import files
from study_runs import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_number_between_markers_is_of_the_stored_results(capsys):
    assert fill.main(["--check"]) == 0, capsys.readouterr().out
    marked = {name for path in fill.TEXTS for name in fill.MARKED.findall(path.read_text("utf-8"))}
    assert marked == set(fill.BLOCKS)


def test_a_number_that_was_changed_by_hand_is_found(monkeypatch, tmp_path, capsys):
    text = tmp_path / "text.md"
    accuracy = re.search(r"\| 0\.\d\d \[", README)[0]
    text.write_text(README.replace(accuracy, "| 1.96 ["), encoding="utf-8")
    monkeypatch.setattr(fill, "TEXTS", (text,))
    assert fill.main(["--check"]) == 1 and "text.md" in capsys.readouterr().out
    assert fill.main([]) == 0 and text.read_text(encoding="utf-8") == README


@pytest.mark.parametrize("path", fill.TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_profiles_and_parameters_exist():
    told = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([\w-]+)` \|.*minutes \|$", told, re.M))
    assert named == {path.stem for path in profiles.PROFILES.glob("*.yaml")}
    assert set(re.findall(r"--profile ([\w-]+)", README)) <= named
    parameters = dict(re.findall(r"--set '?([A-Z_]+)=([^\s'`]*)", README))
    assert parameters.pop("NAME") == "VALUE"
    assert profiles.typed(parameters) == {"CORPUS_DIR": "~/Music/study", "STUDY_DIR": "mine"}
