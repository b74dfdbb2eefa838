"""The notebooks on Colab and Binder: one address, a cell that does nothing at home, an install."""

import json
import shutil
import subprocess
import sys
import types

import nbformat
import numpy as np
import pytest

import address
import hosted
from genre_utils.report import arrangement, stages
from genre_utils.workspace import files
from study_runs import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ADDRESS = "https://github.com/somebody/a-study"
#: Runs a cell in a folder where Colab seems to be, and tells what is found then.
COLAB = """\
import os, sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
cell = sys.stdin.read()
shell = types.SimpleNamespace(system=lambda command: print(os.system(command)))
exec(cell, {"get_ipython": lambda: shell})
import genre_utils
print(os.getcwd(), genre_utils.__file__)
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the files that an address is written to."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    for name in ("CITATION.cff", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_has_the_cells_of_the_address_that_is_cited(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    wanted = address.written(notebook, path.name, address.cited())
    assert notebook == wanted, "run make address"
    place = [cell["cell_type"] for cell in notebook["cells"]].index("code")
    assert notebook["cells"][place]["metadata"]["tags"] == [arrangement.ONLINE] == [address.TAG]


@pytest.mark.parametrize("told", ["", ADDRESS])
def test_the_cell_does_nothing_at_home(told):
    exec(address.code(told), {})  # where there is no `get_ipython`


def test_it_says_on_colab_that_there_is_no_address():
    done = subprocess.run(
        [sys.executable, "-c", COLAB], input=address.code(""), capture_output=True, text=True
    )
    assert done.returncode == 1 and "run `make address`" in done.stderr


def test_it_clones_the_study_on_colab_and_goes_to_the_notebooks(tmp_path):
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("this is no clone, or there is no git")
    home = tmp_path / "content" / "study"
    home.parent.mkdir()
    cell = address.code(f"file://{ROOT}").replace(address.HOME, home.as_posix())
    command = [sys.executable, "-c", COLAB]
    for _ in range(2):  # a second time, nothing is to be done
        done = subprocess.run(command, input=cell, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        told = f"{home / 'notebooks'} {home / 'genre_utils' / '__init__.py'}"
        assert done.stdout.splitlines() == ["0", told]


def test_an_address_is_written_once_and_replaced(copy):
    before = everything(copy)
    address.write(ADDRESS, copy)
    assert address.cited(copy) == ADDRESS
    name = "03_cnn.ipynb"
    notebook = nbformat.read(copy / "notebooks" / name, as_version=4)
    nbformat.validate(notebook)
    online = [cell.source for cell in notebook.cells if arrangement.tagged(cell, address.TAG)]
    assert online == [address.badges(ADDRESS, name), address.code(ADDRESS)]
    assert f"github/somebody/a-study/blob/main/notebooks/{name})" in online[0]
    assert f"/gh/somebody/a-study/HEAD?urlpath=lab/tree/notebooks/{name})" in online[0]
    assert (copy / "README.md").read_text(encoding="utf-8").count("badge_logo.svg") == 1
    once = everything(copy)
    address.write(ADDRESS, copy)
    assert everything(copy) == once
    address.write("", copy)
    assert everything(copy) == before or address.cited()


@pytest.mark.parametrize("told", ["", ADDRESS, f"{ADDRESS}{'-' * 60}"])
def test_the_cell_is_in_the_style_of_the_house(told):
    command = [sys.executable, "-m", "ruff"]
    for step in (["check", "--extend-ignore=F821"], ["format", "--check"]):
        name = ["--stdin-filename", ROOT / "notebooks" / "x.py"]
        done = subprocess.run(
            [*command, *step, *name, "-"], input=address.code(told) + "\n", cwd=ROOT,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_no_address_is_refused(capsys):
    assert address.main(["http://example.org/x"]) == 1
    assert "is not an address such as https://github.com" in capsys.readouterr().out
    for written in (
        "https://github.com/a/b",
        "https://github.com/a/b.git",
        "https://github.com/a/b/",
    ):
        assert address.GITHUB.fullmatch(written)[1] == "https://github.com/a/b"


def test_the_address_is_on_no_page_and_decides_no_result(copy):
    path = copy / "notebooks" / "04_rnn.ipynb"
    key = stages.stage_key(path, {}, "previous")
    address.write(ADDRESS, copy)
    assert stages.stage_key(path, {}, "previous") == key
    page = arrangement.arrange(nbformat.read(path, as_version=4))
    assert not any("colab" in cell.source for cells in page.parts.values() for cell in cells)


def test_what_a_host_brings_is_not_replaced(monkeypatch):
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    monkeypatch.setattr(hosted, "installed", lambda name: False)
    names = [line.split("==")[0] for line in hosted.requirements(text)]
    assert {"tensorflow-cpu", "librosa", "papermill", "lazy-loader"} <= set(names)
    assert not {"jupyterlab", "ipykernel", "pytest", "numpydoc"} & set(names)
    monkeypatch.setattr(hosted, "installed", lambda name: name == "tensorflow")
    names = [line.split("==")[0] for line in hosted.requirements(text)]
    assert "tensorflow" in names and "tensorflow-cpu" not in names


def test_a_session_with_other_versions_is_to_be_restarted(monkeypatch, tmp_path):
    asked, wanted = [], f"numpy=={np.__version__}"
    monkeypatch.setattr(hosted, "requirements", lambda text: [wanted, "not-loaded==1.0 ; x"])
    monkeypatch.setattr(hosted, "installed", lambda name: False)
    monkeypatch.setattr(hosted, "pip", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.chdir(tmp_path)
    hosted.main()
    assert asked[0][0] == "--no-deps" and asked[1] == (
        wanted,
        "not-loaded==1.0 ; x",
        "--editable",
        ".",
    )
    monkeypatch.setitem(sys.modules, "numpy", types.SimpleNamespace(__version__="1.0"))
    with pytest.raises(SystemExit, match=r"versions of numpy are in use. Restart"):
        hosted.main()


def test_binder_builds_by_these_files():
    folder = ROOT / ".binder"
    version = (folder / "runtime.txt").read_text().strip().removeprefix("python-")
    assert version in {"3.11", "3.12", "3.13"}
    assert (folder / "postBuild").read_text().splitlines()[0] == "#!/bin/bash"
    assert files.ROOT.joinpath("scripts", "hosted.py").exists()
