"""A wheel in an empty environment: the command recognises there, with few and small libraries."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import write_sound

from genre_utils.workspace import files

MOST = 400 << 20  # bytes of what recognition installs
BUILD = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
AUDIO = (".wav", ".mp3", ".ogg", ".flac", ".m4a", ".mid")


def run(*command, cwd, **more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GENRE_", "PYTHONPATH"))}
    options = {"env": kept, "capture_output": True, "text": True, "timeout": 900}
    return subprocess.run([*map(str, command)], cwd=cwd, **options, **more)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the sdist and, from it, the wheel; neither needs the network."""
    place = tmp_path_factory.mktemp("dist")
    done = run(sys.executable, "-c", BUILD, place, cwd=files.ROOT)
    assert done.returncode == 0, done.stderr
    [sdist] = place.glob("*.tar.gz")
    make = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    done = run(*make, "--wheel-dir", place, sdist, cwd=place)
    assert done.returncode == 0, done.stderr
    return sdist, next(place.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Install the wheel into an empty environment; its folder of scripts, and of packages."""
    place = tmp_path_factory.mktemp("empty")
    asked = run(sys.executable, "-m", "pip", "download", "--no-deps", "lazy-loader", cwd=place)
    if asked.returncode:
        pytest.skip(f"the package index cannot be reached: {asked.stderr.strip()[-200:]}")
    venv.create(place / "venv", with_pip=True)
    scripts = place / "venv" / ("Scripts" if os.name == "nt" else "bin")
    done = run(scripts / "python", "-m", "pip", "install", built[1], cwd=place)
    assert done.returncode == 0, done.stderr
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = run(scripts / "python", "-c", code, cwd=place).stdout.strip()
    return scripts, Path(packages)


def test_the_wheel_has_all_that_commands_read_and_no_music_or_reports(built):
    with tarfile.open(built[0]) as sdist, zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
        both = [*names, *sdist.getnames()]
    assert not [name for name in both if name.endswith(AUDIO) or "reports/" in name]
    here = ["notebooks/*.ipynb", "notebooks/profiles/*.yaml", "requirements-nodeps.txt"]
    here += ["benchmarks/extraction.json", "benchmarks/interval_coverage.json"]
    wanted = {p.relative_to(files.ROOT).as_posix() for one in here for p in files.ROOT.glob(one)}
    assert wanted and {f"genre_utils/{name}" for name in wanted} <= names
    package = files.ROOT / "genre_utils"
    code = [p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert {p.relative_to(files.ROOT).as_posix() for p in code} <= names


def test_recognition_needs_few_libraries_and_writes_where_one_works(installed, tmp_path):
    scripts, packages = installed
    there = {path.name.partition("-")[0].lower() for path in packages.glob("*.dist-info")}
    assert not there & {"tensorflow", "tensorflow_cpu", "keras", "jupyter_core", "papermill"}
    assert sum(path.stat().st_size for path in packages.rglob("*")) < MOST
    sound = write_sound(tmp_path / "tone.wav", seconds=4)
    foreign = tmp_path / "no.m4a"
    foreign.write_bytes(b"nothing that libsndfile decodes")
    done = run(scripts / "genre-utils", "recognize", sound, foreign, cwd=tmp_path)
    heard, refused = map(json.loads, done.stdout.splitlines())
    assert heard["predicted_label"] and done.returncode == 1
    assert refused["error"].endswith('pip install "genre-utils[ffmpeg]"')
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["data"]


@pytest.mark.parametrize("command, extra", [("audit", "train"), ("study", "study")])
def test_what_is_not_installed_is_told_with_the_extra_that_brings_it(
    installed, tmp_path, command, extra
):
    arguments = [command, tmp_path] if command == "audit" else [command]
    done = run(installed[0] / "genre-utils", *arguments, cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.endswith(f'not installed: pip install "genre-utils[{extra}]"\n')
