"""What the study costs on a Dask cluster of one and two workers, and what more music would.

    python benchmarks/run.py scaling
    python benchmarks/scaling.py --doc docs/scaling.md  # its tables anew, from scaling.json

A scheduler and two workers are started on this machine. Everything is made up: clips of noise,
spectrograms of noise. Times are medians over several rounds.
"""

import contextlib
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

import distributed
import measuring
import numpy as np
import pandas as pd
import soundfile

from genre_utils.data import fingerprint, splits
from genre_utils.evaluation import study_results
from genre_utils.features import recipes, store
from genre_utils.features.extraction import ALL
from genre_utils.workspace import files, parallel
from genre_utils.workspace.study_folder import StudyFolder

RECIPE = recipes.Recipe()
SIZES = {"fma_large": 106_574, "10 million tracks": 10_000_000}
FILE = 93 * 2**30 / 106_574  # bytes of a clip of fma_large, an MP3 of 30 s
FOLDS, EPOCHS, LEARNING = 10, 18, 0.75  # a usual study: folds, epochs of one, share trained on
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


# ------------------------------------------------------------------ what is measured


@contextlib.contextmanager
def cluster(workers: int):
    """Start a scheduler and workers on this machine, as `genre_utils --dask` wants them."""
    command = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"PYTHONPATH": str(files.ROOT)}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as started:
        place = Path(name) / "scheduler.json"

        def start(*arguments):
            process = subprocess.Popen(
                [*command, *map(str, arguments), "--no-dashboard"], env=environment, **quiet
            )
            started.callback(process.wait)
            started.callback(process.terminate)

        start("scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", place)
        while not place.exists():
            time.sleep(0.1)
        address = files.read_json(place)["address"]
        start("worker", address, f"--nworkers={workers}", "--nthreads", 1)
        with distributed.Client(address) as client:
            client.wait_for_workers(workers, timeout=120)
            os.environ[files.CLUSTER] = address
            try:
                yield client
            finally:
                del os.environ[files.CLUSTER]


def timed(function, rounds: int) -> float:
    """Median of the seconds that a function takes."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def nothing(_):
    """An empty task."""


def empty_tasks(count: int, rounds: int) -> float:
    """Milliseconds that each of many empty tasks takes from end to end."""
    bar = {"desc": "", "unit": "task", "folder": files.ROOT}

    def run():
        for _ in parallel.over(nothing, ((i,) for i in range(count)), count, **bar):
            pass

    run()  # the first time the workers import this module
    return 1000 * timed(run, rounds) / count


def write_clips(folder: Path, count: int) -> pd.DataFrame:
    """Write clips of noise as long as a study's, all different; their track table."""
    noise = np.random.default_rng(0).normal(0, 0.1, round(RECIPE.clip_seconds * RECIPE.sr))
    names = [f"{i:03d}.wav" for i in range(count)]
    for i, name in enumerate(names):
        soundfile.write(folder / name, np.roll(noise, i), RECIPE.sr)
    tracks = pd.DataFrame({"track_id": names, "path": names})
    return tracks.assign(md5=[files.file_md5(folder / name) for name in names])


def extraction(client, folder: Path, tracks: pd.DataFrame, rounds: int) -> dict:
    """Seconds a clip, and the processor time of this process and the scheduler for each."""
    scheduler = partial(client.run_on_scheduler, time.process_time)
    wall, here, there = [], [], []
    for number in range(rounds + 1):  # the first is not counted: workers import what they need
        with tempfile.TemporaryDirectory(dir=folder) as name:
            os.environ["GENRE_CACHE_DIR"] = name
            before = time.perf_counter(), time.process_time(), scheduler()
            store.extract(tracks, folder, StudyFolder(Path(name) / "study"), RECIPE)
            after = time.perf_counter(), time.process_time(), scheduler()
        if number:
            for taken, one, two in zip((wall, here, there), before, after, strict=True):
                taken.append((two - one) / len(tracks))
    return {
        "seconds_a_clip": statistics.median(wall),
        "client_ms_a_clip": 1000 * statistics.median(here),
        "scheduler_ms_a_clip": 1000 * statistics.median(there),
    }


def moved(folder: Path, tracks: pd.DataFrame) -> dict:
    """Bytes of a clip: its file, the job and its result as they are sent, and the cache."""
    track, place = tracks.iloc[0], folder / "clip.npz"
    change = {"seed": 0, "effects": (), "p": 0.5}
    job = track["track_id"], folder / track["path"], track["md5"], RECIPE, ALL, 0, change, place
    return {
        "file": job[1].stat().st_size,
        "job": len(pickle.dumps(job)),
        "result": len(pickle.dumps(store._cached(*job))),
        "cache": place.stat().st_size,
        "log_mel": RECIPE.frames * RECIPE.n_mels * 4,
    }


def made_up_study(study: Path, count: int, recipe: recipes.Recipe = RECIPE) -> StudyFolder:
    """Write a study of log-mel noise with four genres, 40 artists and two folds."""
    genres, shape = ["classical", "jazz", "pop", "rock"], (recipe.frames, recipe.n_mels)
    rows = [(f"{i:04d}", genres[i % 4], f"artist {i % 40}") for i in range(count)]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist"])
    study.mkdir()
    rng = np.random.default_rng(0)
    with open(study / "features.npy", "wb") as array:  # clip by clip: it may be larger than memory
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, *shape)}
        np.lib.format.write_array_header_1_0(array, header)
        for _ in range(count):
            array.write(rng.random(shape, dtype=np.float32).tobytes())
    index = tracks[["track_id"]].assign(copy=0, frames=recipe.frames)
    files.write_table(study / "features.parquet", index)
    described = {"recipe": asdict(recipe), "frames_per_second": recipe.frames_per_second}
    files.write_json(study / "features.json", described | {"sha256": str(count)})
    files.write_table(study / "tracks.parquet", tracks)
    folds = splits.make_folds(tracks, folds=2, group_by="artist", seed=0)
    files.write_table(study / "folds.parquet", folds)
    corpus = {"name": "noise", "sha256": str(count), "genres": genres, "protocol": "cv"}
    files.write_json(study / "corpus.json", corpus)
    return StudyFolder(study)


def two_folds(study: StudyFolder, rounds: int) -> dict:
    """Seconds that two folds of the CNN take together, and one excerpt in one epoch."""
    from genre_utils.models import cross_validation, training_data

    data, taken, excerpt = training_data.load_data(study), [], []
    for seed in range(rounds + 1):  # the first is not counted, as above
        start = time.perf_counter()
        _, run = cross_validation.cross_validate(study, "cnn", epochs=3, seed=seed)
        taken.append(time.perf_counter() - start)
        for fold in run["folds"]:
            rows = len(data.rows(fold["fold"])["train"])
            excerpt.append(fold["seconds"] / rows / fold["epochs"])
    return {
        "seconds_of_two_folds": statistics.median(taken[1:]),
        "ms_an_excerpt_and_epoch": 1000 * statistics.median(excerpt[2:]),
    }


def tables(count: int = 50_000) -> dict:
    """Time and memory of what is done for all tracks in one process, for each track."""
    rng = np.random.default_rng(0)
    tracks = pd.DataFrame({"track_id": [f"genre/{i:09d}.mp3" for i in range(count)]})
    tracks["path"] = tracks["title"] = tracks["track_id"]
    tracks["artist"] = [f"artist {i}" for i in rng.integers(count // 8, size=count)]
    tracks["genre"] = rng.choice(["classical", "jazz", "pop", "rock"], count)
    tracks["md5"] = [f"{i:032x}" for i in range(count)]
    start = time.perf_counter()
    folds = splits.make_folds(tracks, folds=FOLDS, group_by="artist", seed=0)
    dealt = time.perf_counter() - start
    keys = timed(lambda: [store._key("0" * 32, RECIPE, 0, [], ()) for _ in range(200)], 3) / 200
    prints = [
        np.stack([rng.integers(1 << 20, size=900), np.arange(900)], axis=1).astype(np.int32)
        for _ in range(2000)
    ]
    compared = timed(partial(fingerprint.links, prints), 3) / len(prints)
    return {
        "bytes_a_track": int(tracks.memory_usage(deep=True).sum()) // count,
        "bytes_of_folds_a_track": int(folds.memory_usage(deep=True).sum()) // count,
        "ms_of_folds_a_track": 1000 * dealt / count,
        "ms_of_keys_a_track": 1000 * keys,
        "ms_of_duplicates_a_track": 1000 * compared,
        "most_recordings_compared": 1 << fingerprint._CLIPS,
    }


def measure(clips: int, tasks: int, rounds: int, tracks: int) -> dict:
    """All that is measured, as the JSON file holds it."""
    result = {"environment": study_results.environment(), "load_before": os.getloadavg()[0]}
    result["workers"] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recordings = write_clips(folder, clips)
        result["bytes_a_clip"] = moved(folder, recordings)
        study = made_up_study(folder / "study", tracks)
        for workers in (1, 2):
            with cluster(workers) as client:
                found = {"ms_an_empty_task": empty_tasks(tasks, rounds)}
                found |= extraction(client, folder, recordings, rounds)
                found |= two_folds(study, rounds)
            result["workers"][str(workers)] = found
            for path in study.folds_done().rglob("*.*"):
                path.unlink()
    result |= {"tables": tables()}
    return result | {"says": [block(result)], "figures": figures(result)}


# ------------------------------------------------------------------ what it means


def figures(found: dict) -> dict:
    """Numbers whose history is drawn."""
    one, two = found["workers"].values()
    ratios = {
        name: measuring.figure(one[key] / two[key])
        for key, name in (
            ("seconds_a_clip", "features: times as fast with two workers as with one"),
            ("seconds_of_two_folds", "folds: times as fast with two workers as with one"),
        )
    }
    return ratios | {"an empty task, ms": measuring.figure(one["ms_an_empty_task"])}


def extrapolated(found: dict) -> dict[str, list[float]]:
    """What grows with the number of tracks, for each of `SIZES`: numbers and their units."""
    one, size, tables = found["workers"]["1"], found["bytes_a_clip"], found["tables"]
    hours, days, gb = 1 / 3600, 1 / 86400, 1e-9
    excerpts = int(RECIPE.clip_seconds // RECIPE.excerpt_seconds)
    trained = FOLDS * EPOCHS * LEARNING * excerpts * one["ms_an_excerpt_and_epoch"] / 1000
    array = size["log_mel"] * gb
    each = {
        "features, core-days": one["seconds_a_clip"] * days,
        "features, hours at best (this process)": one["client_ms_a_clip"] / 1000 * hours,
        "features, hours at best (scheduler)": one["scheduler_ms_a_clip"] / 1000 * hours,
        "read from the shared folder, GB": FILE * gb,
        "sent to this process, GB": size["result"] * gb,
        "cache, GB": size["cache"] * gb,
        "one CNN, ten folds, core-days": trained * days,
        "array of all excerpts, GB": array,
        "table of tracks, GB": tables["bytes_a_track"] * gb,
        "table of folds, GB": tables["bytes_of_folds_a_track"] * gb,
        "dealing folds, hours": tables["ms_of_folds_a_track"] / 1000 * hours,
        "keys of the cache, hours": tables["ms_of_keys_a_track"] / 1000 * hours,
        "finding duplicates, hours": tables["ms_of_duplicates_a_track"] / 1000 * hours,
    }
    return {name: [value * count for count in SIZES.values()] for name, value in each.items()}


def block(found: dict) -> str:
    """Tables of the document, between its two marks."""
    environment, one, two = found["environment"], *found["workers"].values()
    names = {
        "ms_an_empty_task": "empty task, ms",
        "seconds_a_clip": "features of a clip of 30 s, s",
        "client_ms_a_clip": "of it, processor time of the process that asks, ms",
        "scheduler_ms_a_clip": "of it, processor time of the scheduler, ms",
        "seconds_of_two_folds": "two folds of the CNN, 60 tracks, 3 epochs, s",
        "ms_an_excerpt_and_epoch": "one excerpt in one epoch of the CNN, ms",
    }
    rows = [(name, _short(one[key]), _short(two[key]), f"{one[key] / two[key]:.2f}")
            for key, name in names.items()]  # fmt: skip
    sizes = found["bytes_a_clip"]
    said = [
        f"Measured on {environment['threads']} cores ({environment['cpu']}); the load of the "
        f"machine was {found['load_before']:.1f}.",
        _markdown(["", "1 worker", "2 workers", "ratio"], rows),
        f"Of a clip, {sizes['file']:,} bytes are read (WAV here; an MP3 of fma_large has "
        f"{FILE:,.0f}), {sizes['job']:,} sent to the worker as its job, {sizes['result']:,} sent "
        f"back, and {sizes['cache']:,} written to the cache.",
        _markdown(
            ["extrapolated", *SIZES],
            [(name, *map(_short, values)) for name, values in extrapolated(found).items()],
        ),
        f"The process that asks can keep {_short(_most(one, 'client'))} workers busy, the "
        f"scheduler {_short(_most(one, 'scheduler'))}. Near-duplicates are found among at most "
        f"{found['tables']['most_recordings_compared']:,} recordings; of more, the study stops and "
        "says so.",
    ]
    return "\n\n".join([BEGIN, *said, END])


def _most(one, who):
    return 1000 * one["seconds_a_clip"] / one[f"{who}_ms_a_clip"]


def _short(value):
    """A number in two or three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value < 10 else f"{value:.0f}"


def _markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def written_anew(document: str, found: dict) -> str:
    """A document with the tables of what was found."""
    before, _, rest = document.partition(BEGIN)
    return before + block(found) + rest.partition(END)[2]


def main():
    """Measure and print the tables, or write what was measured into the document."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--doc", type=Path, help="document whose tables are written anew")
    options = parser.parse_args()
    if options.doc:
        stored = files.read_json(Path(__file__).with_suffix(".json"))
        text = written_anew(options.doc.read_text(encoding="utf-8"), stored)
        options.doc.write_text(text, encoding="utf-8")
        return
    full = {"clips": 8, "tasks": 1000, "rounds": 3, "tracks": 60}
    quick = {"clips": 2, "tasks": 50, "rounds": 1, "tracks": 24}
    measuring.show(measure(**(quick if options.quick else full)), options.json)


if __name__ == "__main__":
    main()
