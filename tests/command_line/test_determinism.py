"""Music, features and folds are the same whatever the machine calls its language and its hour.

That training is too is tested in `test_parallel`, where it is run in two places.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genre_utils.workspace import files
from study_runs import ROOT

PROGRAM = """
import sys
from pathlib import Path
from genre_utils.data import auditing, corpora, splits
from genre_utils.data.composer import collection
from genre_utils.features import recipes, store
from genre_utils.workspace.study_folder import StudyFolder

base = Path(sys.argv[1])
settings = {"artists_per_genre": 3, "tracks_per_artist": 1, "seconds": 3.0, "seed": 0, "n_jobs": 1}
collection.compose_corpus(base / "music", genres=["rock", "jazz"], **settings)
found = corpora.find_tracks("synthetic", base / "music")
tracks = auditing.audit(found, base / "music", min_seconds=1.0, n_jobs=1)
recipe = recipes.Recipe(clip_seconds=3.0, excerpt_seconds=1.0)
store.extract(tracks, base / "music", StudyFolder(base / "store"), recipe, copies=1, n_jobs=1)
splits.make_folds(tracks, folds=2, group_by="artist", seed=0).to_csv(base / "store" / "folds.csv")
"""


def contents(base, **environment):
    """Checksum of every file of music, features and folds, made in a new process."""
    base.mkdir()
    place = {"PYTHONPATH": str(ROOT), "GENRE_CACHE_DIR": str(base / "cache")}
    subprocess.run(
        [sys.executable, "-c", PROGRAM, base], env=os.environ | place | environment, check=True
    )
    made = [*base.glob("music/**/*.*"), *base.glob("store/*")]
    return {str(path.relative_to(base)): files.file_md5(path) for path in made if path.is_file()}


@pytest.mark.filterwarnings("ignore:n_fft")
def test_hash_seed_language_and_time_zone_change_nothing(tmp_path):
    one = contents(tmp_path / "one", PYTHONHASHSEED="1", LC_ALL="C", TZ="America/St_Johns")
    two = contents(tmp_path / "two", PYTHONHASHSEED="2", LC_ALL="C.UTF-8", TZ="Asia/Kathmandu")
    kinds = {Path(name).suffix for name in one}
    assert {".flac", ".csv", ".npy", ".parquet"} <= kinds and len(one) > 10
    assert one == two
