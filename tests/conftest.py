"""What the tests share: an empty cache of their own, small made-up music, and real music."""

import gc
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import settings

from browser import browser_fixture, page_fixture  # noqa: F401  fixtures of several files
from genre_utils.workspace import files, parallel
from study_runs import places_fixture  # noqa: F401

# the same examples on every machine that integrates, other ones each time elsewhere
settings.register_profile("study", deadline=None, max_examples=25, derandomize="CI" in os.environ)
settings.load_profile("study")

LONGEST = ["test_runner.py", "test_own_music.py", "test_parallel.py", "test_training.py"]
LONGEST += ["test_store.py", "test_tuning.py", "test_reference_reports.py"]  # others: seconds


def pytest_collection_modifyitems(items):
    """The longest files first, so that two workers end at about the same time."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONGEST)))


def pytest_collection_finish():
    """What is imported stays: garbage, which Keras collects before each network, is not there."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Nothing is read from, or left in, the cache of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("GENRE_CACHE_DIR", str(folder))
        # two files of tests run at a time: no more for each
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")
        yield folder


def keep_threads(patch):
    """Undo after a test what a Dask worker in this process does to its environment."""
    for name in parallel.THREADS:
        patch.setenv(name, "1")


@pytest.fixture
def one_worker(monkeypatch):
    """A Dask cluster whose one worker is a thread of this process, by whose address jobs go."""
    import distributed

    keep_threads(monkeypatch)
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(processes=False, **options) as cluster:
        monkeypatch.setenv(files.CLUSTER, cluster.scheduler_address)
        yield cluster


@pytest.fixture(scope="session")
def run_python():
    """Run a program in a Python process of its own; return what it printed."""

    def run(program):
        command = [sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run


def sound(seed, *, seconds=1.0, sr=22_050, channels=1):
    """A tone in noise, both decided by `seed`: (n,), or (n, channels) when there are several."""
    rng = np.random.default_rng(seed)
    n = round(seconds * sr)
    tone = np.sin(2 * np.pi * rng.uniform(100, 2000) * np.arange(n) / sr)
    y = 0.3 * tone[:, np.newaxis] + 0.1 * rng.normal(size=(n, channels)).clip(-3, 3)
    return y.squeeze(axis=1) if channels == 1 else y


def song(seed, seconds=15.0, sr=22_050):
    """A made-up song: notes that begin at times and pitches of their own, and some noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sr)) / sr
    y = 0.003 * rng.normal(size=len(t))
    for begin in rng.uniform(0, seconds, round(8 * seconds)):
        part = (t >= begin) & (t < begin + 0.5)
        pitch = 110 * 2 ** (rng.integers(0, 48) / 12)
        y[part] += 0.05 * np.sin(2 * np.pi * pitch * t[part]) * np.exp(-6 * (t[part] - begin))
    return y.astype(np.float32)


def write_sound(path, seed=0, *, subtype=None, sr=22_050, **shape):
    """Write `sound` to a file, and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(seed, sr=sr, **shape), sr, subtype=subtype)
    return path


@pytest.fixture
def genre_folder(tmp_path):
    """Two genres of three artists with two tracks of one second each, all different."""
    folder, rows = tmp_path / "music", []
    for genre in ("jazz", "rock"):
        for artist in "ABC":
            for n in range(2):
                path = write_sound(folder / genre / f"{artist}{n}.wav", seed=len(rows))
                rows.append((path.relative_to(folder).as_posix(), f"{genre} {artist}"))
    pd.DataFrame(rows, columns=["path", "artist"]).to_csv(folder / "tracks.csv", index=False)
    return folder


def _real_music(name):
    folder = files.data_folder() / name
    if not folder.is_dir():
        pytest.skip(f"no {folder}: set GENRE_DATA_DIR to a folder that holds {name}")
    return folder


@pytest.fixture(scope="session")
def gtzan_mini():
    return _real_music("gtzan_mini")


@pytest.fixture(scope="session")
def gtzan_excerpts():
    return _real_music("gtzan_excerpts")


@pytest.fixture(scope="session")
def gtzan_mel80():
    return _real_music("gtzan_mel80")


@pytest.fixture(scope="session")
def musicnn_learned():
    """What musicnn has learned is installed."""
    from genre_utils.features import patches

    try:
        patches.learned()
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
