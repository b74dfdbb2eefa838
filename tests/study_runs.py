"""Whole studies that several test files share: each runs once per test session."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def command(*arguments, env):
    """Run ``python -m genre_utils ...`` as a user would; return the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "genre_utils", *map(str, arguments)],
        env=os.environ | env, capture_output=True, text=True, timeout=900, cwd=env["CWD"],
    )  # fmt: skip


@pytest.fixture(scope="session", name="places")
def places_fixture(tmp_path_factory):
    """Environment whose reports and caches are folders of this test session."""
    base = tmp_path_factory.mktemp("studies")
    return {
        "GENRE_REPORTS_DIR": str(base / "reports"),
        "GENRE_CACHE_DIR": str(base / "cache"),
        "CWD": str(base),  # not the clone: nothing may depend on the folder one is in
    }


@pytest.fixture(scope="session", name="quick")
def quick_fixture(places):
    """Folder of the finished quick study; its standard output is in ``said``."""
    done = command("study", "--profile", "quick", env=places)
    assert done.returncode == 0, done.stdout + done.stderr
    study = Path(places["GENRE_REPORTS_DIR"]) / "quick"
    (study / "said").write_text(done.stdout)
    return study
