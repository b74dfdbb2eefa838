"""What the tests of whole studies share: the command line, its folders, and what it leaves."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent
EPOCHS = 2
SMALL = {
    "CLIP_SECONDS": 12, "EXCERPT_SECONDS": 3, "AUGMENTED_COPIES": 0, "ABLATION": "false",
    "EPOCHS": EPOCHS, "FOLDS": 2, "MODELS": "[rnn]", "EXAMPLES": 2, "PIECES": 1,
}  # fmt: skip


def chosen(settings):
    """Write settings as arguments of the command line."""
    return [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]


def command(*arguments, env):
    """Run ``python -m genre_utils ...`` as a user would; return the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "genre_utils", *map(str, arguments)],
        env=os.environ | env, capture_output=True, text=True, timeout=2700, cwd=env["CWD"],
    )  # fmt: skip


def predictions(study):
    """Predictions of a study's models, by their names."""
    return {path.stem: pd.read_parquet(path) for path in (study / "predictions").glob("*.parquet")}


@pytest.fixture(scope="session", name="places")
def places_fixture(tmp_path_factory):
    """Environment whose reports and caches are folders of this test session."""
    base = tmp_path_factory.mktemp("studies")
    return {
        "GENRE_REPORTS_DIR": str(base / "reports"),
        "GENRE_CACHE_DIR": str(base / "cache"),
        "CWD": str(base),  # not the clone: nothing may depend on the folder one is in
    }
