"""Recognition of a folder: how many times faster than the music plays, and in how much memory.

    python benchmarks/run.py recognition --cores 2

The command `recognize` is timed as users start it, with its start-up, several times in turns with
the named alternative: librosa reading the same files and computing a mel spectrogram of each, in as
many threads, which gives no answer yet. Memory is that of the command on folders of short clips of
very different size. The folders hold copies of a few files, each with some bytes of its own behind
the music, as what was heard once is not heard again.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import measuring
import soundfile

from genre_utils.features import audio
from genre_utils.recognition import batch
from genre_utils.workspace import parallel

ONE_THREAD = dict.fromkeys(parallel.THREADS, "1")
OURS = ("-m", "genre_utils", "recognize")
LIBROSA = (__file__, "--librosa")
SHORT_SECONDS = 2.0


def fill(folder: Path, sources: list[Path], count: int) -> Path:
    """Make a folder of `count` files that sound like a few, and of which no two are the same."""
    folder.mkdir(parents=True)
    for i in range(count):
        source = sources[i % len(sources)]
        content = source.read_bytes() + i.to_bytes(8, "little")
        (folder / f"{i:05d}{source.suffix}").write_bytes(content)
    return folder


def cut(paths: list[Path], folder: Path, seconds: float) -> list[Path]:
    """Write the middle of each file as WAV, so many seconds of it at most; `folder` is made."""
    folder.mkdir(parents=True)
    for i, path in enumerate(paths):
        y, sr = audio.load_clip(path, seconds=seconds)
        soundfile.write(folder / f"{i}.wav", y, sr)
    return sorted(folder.iterdir())


def timed(how: tuple, folder: Path) -> dict:
    """Run a command on a folder, of which nothing is cached: seconds, cpu_seconds and peak_mb."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, *how, str(folder)]
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | ONE_THREAD | {"GENRE_CACHE_DIR": cache}
        return measuring.run_alone(command, env=environment, **quiet)


def with_librosa(folder: Path) -> None:
    """Read every file of a folder with librosa, and compute its mel spectrogram."""
    import librosa

    def mel(name):
        y, sr = librosa.load(name, sr=22050)
        librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr, n_mels=128, hop_length=1024))

    with ThreadPoolExecutor(batch.usable_cores()) as pool:
        list(pool.map(mel, batch.find([str(folder)])))


def measure(sources: list[Path], *, files: int, rounds: int, sizes: tuple[int, ...]) -> dict:
    """Throughput on `files` files of 30 s, and memory on as many short ones as `sizes` say."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        whole = cut(sources, scratch / "whole", 30.0)
        seconds = [soundfile.info(path).duration for path in whole]
        folder = fill(scratch / "throughput", whole, files)
        music = sum(seconds[i % len(seconds)] for i in range(files))
        runs = [
            {side: timed(how, folder) for side, how in (("recognize", OURS), ("librosa", LIBROSA))}
            for _ in range(rounds)
        ]
        short = cut(sources, scratch / "short", SHORT_SECONDS)
        memory = [
            {"files": size} | timed(OURS, fill(scratch / str(size), short, size)) for size in sizes
        ]
    return told({"files": files, "music_seconds": music, "runs": runs, "memory": memory})


def told(found: dict) -> dict:
    """What was measured, with the figures and sentences that follow from it."""
    music, cores = found["music_seconds"], batch.usable_cores()
    times = [music / run["recognize"]["seconds"] for run in found["runs"]]
    free = [cores * music / run["recognize"]["cpu_seconds"] for run in found["runs"]]
    ratio = [
        run["recognize"]["cpu_seconds"] / run["librosa"]["cpu_seconds"] for run in found["runs"]
    ]
    small, *_, large = found["memory"]
    growth = large["peak_mb"] / small["peak_mb"]
    says = [
        f"Recognition of {found['files']:,} files ({music / 3600:.1f} hours of music) is "
        f"{statistics.median(times):.0f} times as fast as the music plays, on {cores} cores, with "
        f"its start-up (median of {len(times)} runs, {min(times):.0f} to {max(times):.0f}).",
        f"By the processor time that it took it would be {statistics.median(free):.0f} times as "
        "fast if nothing else ran and all cores were used to the full.",
        f"It takes {statistics.median(ratio):.1f} times the processor time that librosa takes to "
        "read the same files and compute their mel spectrograms alone.",
        f"It held {small['peak_mb']:.0f} MB at most over {small['files']:,} files of "
        f"{SHORT_SECONDS:g} s, and {large['peak_mb']:.0f} MB over {large['files']:,}.",
    ]
    figures = {
        "times as fast as the music plays": measuring.figure(statistics.median(times), least=150),
        "the same, by processor time": measuring.figure(statistics.median(free)),
        "processor time over librosa's for mel spectrograms": measuring.figure(
            statistics.median(ratio)
        ),
        "memory, MB": measuring.figure(large["peak_mb"]),
        f"memory for {large['files']:,} files over that for {small['files']:,}": measuring.figure(
            growth, most=1.1
        ),
    }
    return {"cores": cores} | found | {"says": says, "figures": figures}


def main():
    """Measure, print what came out, and write it as JSON if asked to."""
    parser = measuring.parser(__doc__)
    parser.add_argument("sounds", nargs="*", type=Path, help="sound files (default: composed)")
    parser.add_argument("--librosa", action="store_true", help="the alternative alone, on a folder")
    options = parser.parse_args()
    if options.librosa:
        with_librosa(options.sounds[0])
        return
    sources = options.sounds or measuring.composed_paths()
    full = {"files": 400, "rounds": 3, "sizes": (500, 5_000)}
    quick = {"files": 24, "rounds": 1, "sizes": (24, 96)}
    measuring.show(measure(sources, **(quick if options.quick else full)), options.json)


if __name__ == "__main__":
    main()
