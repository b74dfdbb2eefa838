"""Memory of a feature extraction and of training, for corpora of different sizes.

    python benchmarks/run.py memory

Made-up clips of one second, each different, are extracted into an empty cache, every size in a
process of its own, all families of features but `chroma_cqt`. Shown is the most memory that this
process and its largest worker held (resident set size), and what the same process held before.
Then a fold of the CNN is trained for an epoch and tested, on noise of as many clips of 3 s.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import measuring
import numpy as np
import pandas as pd
import psutil
import soundfile
from tqdm import tqdm

import scaling
from genre_utils.features import extraction, recipes, store
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder

RECIPE = recipes.Recipe(clip_seconds=1.0, excerpt_seconds=0.25)
TRAINED = recipes.Recipe(clip_seconds=3.0, excerpt_seconds=1.5)
#: All but the one that takes ten times as long as the others together on so short a clip.
FAMILIES = tuple(name for name in extraction.ALL if name != "chroma_cqt")
MB = 1 << 20


def write_clips(folder, count):
    """Write `count` clips of noise, all different, and return their track table."""
    noise = np.random.default_rng(0).normal(0, 0.1, RECIPE.sr)
    names = [f"{i:06d}.wav" for i in range(count)]
    for i, name in enumerate(tqdm(names, desc="clips", unit="clip", mininterval=0.5)):
        soundfile.write(folder / name, np.roll(noise, i), RECIPE.sr)
    tracks = pd.DataFrame({"track_id": names, "path": names})
    return tracks.assign(md5=[files.file_md5(folder / name) for name in names])


def measure(count, n_jobs):
    """Extract `count` clips; return what that took, memory in MB and time in seconds."""
    process, largest, done = psutil.Process(), [0], threading.Event()

    def watch():
        while not done.wait(0.2):
            for child in process.children(recursive=True):
                try:
                    largest[0] = max(largest[0], child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["GENRE_CACHE_DIR"] = str(folder / "cache")
        tracks = write_clips(folder, count)
        before = process.memory_info().rss
        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.perf_counter()
        study = folder / "study"
        store.extract(tracks, folder, StudyFolder(study), RECIPE, families=FAMILIES, n_jobs=n_jobs)
        seconds = time.perf_counter() - started
        done.set()
        watcher.join()
        sizes = [path.stat().st_size for path in study.iterdir()]
    return {
        "clips": count,
        "before_mb": before / MB,
        "peak_mb": measuring.peak_mb(),
        "largest_worker_mb": largest[0] / MB,
        "store_mb": sum(sizes) / MB,
        "seconds": seconds,
    }


def train(count):
    """Train and test one fold of `count` clips; return what memory that took, in MB."""
    from genre_utils.models import hyperparameters, training, training_data

    with tempfile.TemporaryDirectory() as name:
        study = scaling.made_up_study(Path(name) / "study", count, TRAINED)
        data = training_data.load_data(study)
        settings = hyperparameters.DEFAULTS["cnn"]
        model, _ = training.train_fold(data, 0, "cnn", settings, epochs=1, seed=0)
        training.predict(model, data, data.rows(0)["test"], 0)
        array = study.place("log_mel").stat().st_size
    return {"training_mb": measuring.peak_mb(), "array_mb": array / MB}


def told(rows: list[dict]) -> dict:
    """The sizes that were measured, with the figures and sentences that follow from them."""
    small, large = rows[0], rows[-1]
    sides = {"peak_mb": "the process", "largest_worker_mb": "its largest worker"}
    says = [
        f"Extracting features, {name} held {small[key]:.0f} MB at most for {small['clips']:,} "
        f"clips of {RECIPE.clip_seconds:g} s, and {large[key]:.0f} MB for {large['clips']:,}."
        for key, name in sides.items()
    ]
    says += [
        f"The track table is in memory as a whole: the process held {small['before_mb']:.0f} and "
        f"{large['before_mb']:.0f} MB before it began. The store on disk has "
        f"{small['store_mb']:.0f} and {large['store_mb']:.0f} MB."
    ]
    says += [
        f"Training and testing a fold of the CNN held {small['training_mb']:.0f} and "
        f"{large['training_mb']:.0f} MB, where the excerpts take {small['array_mb']:.0f} and "
        f"{large['array_mb']:.0f} MB."
    ]
    sides["training_mb"] = "training"
    many = f"for {large['clips']:,} clips over that for {small['clips']:,}"
    figures = {
        f"memory of {name} {many}": measuring.figure(large[key] / small[key], most=1.1)
        for key, name in sides.items()
    }
    figures["memory of the process, MB"] = measuring.figure(large["peak_mb"])
    return {"environment": measuring.machine(), "sizes": rows, "says": says, "figures": figures}


def main():
    """Measure every size, show a table, and write it as JSON if asked to."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000], help="clips")
    parser.add_argument("--jobs", type=int, default=-1, help="processes; -1 for one per core")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # size of this process
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(
            json.dumps(train(options.one) if options.train else measure(options.one, options.jobs))
        )
        return
    rows = []
    for size in [20, 100] if options.quick else options.sizes:
        command = [sys.executable, __file__, "--one", str(size), "--jobs", str(options.jobs)]
        rows.append({})
        for also in ([], ["--train"]):
            done = subprocess.run(command + also, stdout=subprocess.PIPE, check=True, text=True)
            rows[-1] |= json.loads(done.stdout.splitlines()[-1])
    print(pd.DataFrame(rows).round(0).astype(int).to_string(index=False))
    measuring.show(told(rows), options.json)


if __name__ == "__main__":
    main()
