"""The house keeps its rules: imports one way, small files, one reader of the environment."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from genre_utils.workspace import files

PACKAGE = files.ROOT / "genre_utils"
MODULES = sorted(PACKAGE.rglob("*.py"))
#: What is long because it is a table, of musical styles.
TABLES = {"data/composer/styles.py"}


def lines(paths):
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def name(path):
    return path.relative_to(PACKAGE).as_posix()


def test_imports_go_one_way():
    program = "import sys; from importlinter.cli import lint_imports; "
    program += "sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=files.ROOT,
        env=files.child_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_few_entries_stand_at_the_top():
    entries = [path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 14


@pytest.mark.parametrize("path", [path for path in MODULES if name(path) not in TABLES], ids=name)
def test_no_file_is_long(path):
    assert lines([path]) <= 500


@pytest.mark.parametrize("folder", [p for p in PACKAGE.iterdir() if p.is_dir()], ids=name)
def test_no_package_is_large(folder):
    assert lines(p for p in folder.rglob("*.py") if "composer" not in p.parts) <= 2500


def test_the_module_is_small():
    assert lines(MODULES) < 22_730  # raised only for what users can newly do


def reads_environment(tree):
    """Whether a module names `os.environ` or `os.getenv`."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "putenv"}
        for node in ast.walk(tree)
    )


def test_the_environment_is_read_in_two_places():
    found = [p for p in MODULES if reads_environment(ast.parse(p.read_text(encoding="utf-8")))]
    assert {name(path) for path in found} <= {"__main__.py", "workspace/files.py"}


#: How the names of files and folders of a study begin that `StudyFolder` alone may spell.
OF_A_STUDY = ("tracks.parquet", "folds.parquet", "corpus.json", "source.json", "features.json")
OF_A_STUDY += ("features.npy", "features.parquet", "summary.parquet", "results.json", "looks.csv")
OF_A_STUDY += ("embeddings.parquet", "embeddings.npy")
OF_A_STUDY += ("folds_done", "predictions", "runs", "tuning", "figures", "stages")


def paths_spelled(tree):
    """Texts that a module joins to a path by `/`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            for text in ast.walk(node.right):
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield text.value


def test_only_the_study_folder_names_the_files_of_a_study():
    composer = PACKAGE / "data" / "composer"  # whose own folder holds a corpus.json, too
    others = [p for p in MODULES if p.name != "study_folder.py" and composer not in p.parents]
    for path in others:
        spelled = set(paths_spelled(ast.parse(path.read_text(encoding="utf-8"))))
        assert not spelled & set(OF_A_STUDY), name(path)


def test_the_faces_load_no_tensorflow(run_python):
    packages = "data, evaluation, features, interpretation, models, paper, plots, recognition"
    program = f"import sys\nfrom genre_utils import {packages}\n"
    for package in packages.split(", "):
        program += f"dir({package})\n"
    program += "print({'tensorflow', 'keras', 'sklearn'} & set(sys.modules))"
    assert run_python(program).strip() == "set()"


def test_every_name_that_a_package_hands_on_is_there():
    from genre_utils import data, evaluation, features, interpretation, models, paper, plots
    from genre_utils import recognition as recognition_package
    from genre_utils.data import composer
    from genre_utils.report import sentences

    packages = [data, evaluation, features, interpretation, models, paper, plots, composer]
    for package in [*packages, recognition_package, sentences]:
        places = {path.stem for path in Path(package.__file__).parent.iterdir()}
        for handed_on in package.__all__:
            value = getattr(package, handed_on)
            assert handed_on not in places or value.__name__.endswith(f".{handed_on}")
