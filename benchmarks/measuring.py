"""What the benchmarks share: music, medians, figures with a goal, and the state of the machine.

A benchmark is a script with the options ``--json`` and ``--quick``. Beside its measurements, its
JSON holds `says`, sentences for the reader, and `figures`, the numbers whose history is drawn.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

from genre_utils.workspace import files

LEFT_OUT = 3  # exit status of a benchmark that lacks what it measures
BUSY = 0.1  # share of the processors in other programs' hands above which a machine is busy


def parser(text: str) -> argparse.ArgumentParser:
    """Arguments that every benchmark takes; `text` is the script's docstring."""
    options = argparse.ArgumentParser(description=text.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="little of it, to see that it works")
    options.add_argument("--json", type=Path, help="file to write the measurements to")
    return options


def figure(value: float, *, least: float | None = None, most: float | None = None) -> dict:
    """A number whose history is drawn, and whether it meets its goal, where it has one."""
    goal = {"least": least} if least is not None else {"most": most} if most is not None else {}
    met = (least is None or value >= least) and (most is None or value <= most)
    return {"value": value} | goal | ({"met": met} if goal else {})


def show(result: dict, path: Path | None) -> None:
    """Print what a result says, and write it where it was asked for."""
    print("\n".join(result["says"]))
    if path:
        files.write_json(path, result)


def left_out(why: str):
    """End a benchmark that cannot measure here, saying why."""
    print(why, file=sys.stderr)
    sys.exit(LEFT_OUT)


def composed_paths(artists: int = 3) -> list[Path]:
    """Files of composed music, 30 s each, one by every artist of every genre."""
    from genre_utils.data.composer import collection  # takes a second to load

    settings = {"artists_per_genre": artists, "tracks_per_artist": 1, "seconds": 30.0, "seed": 0}
    return sorted(collection.compose_corpus(**settings).glob("*/*.flac"))


def medians(sides: dict, rounds: int) -> dict:
    """Median CPU seconds of functions that take turns on one thread, after a round unmeasured.

    CPU time leaves out the waiting for a core. It still grows where others use the same cores and
    caches, so compare what was measured in one run.
    """
    times = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side, compute in sides.items():
            started = time.process_time()
            compute()
            if number:  # the first round compiles and fills caches
                times[side].append(time.process_time() - started)
    return {side: statistics.median(seconds) for side, seconds in times.items()}


def run_alone(command: list[str], **options) -> dict:
    """Run a command to its end: seconds, cpu_seconds, and the most memory it held in MB (Linux).

    What the system tells of a process that has ended is no good for memory: it counts the program
    that started it in.
    """
    started, peak = time.perf_counter(), 0.0
    child = subprocess.Popen(command, **options)
    while True:
        ended, status, used = os.wait4(child.pid, os.WNOHANG)
        if ended:
            break
        peak = max(peak, peak_mb(child.pid))
        time.sleep(0.02)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"it ended with status {child.returncode}: {' '.join(command)}")
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": peak,
    }


def peak_mb(process: int | str = "self") -> float:
    """Most memory that a process has held so far, in MB (Linux); 0 once it has ended."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


class Watch:
    """Processor time that other programs take while a block runs, and the load average around it.

    Attributes
    ----------
    state : dict
        load_average before and after, others (processors that other programs kept busy, on
        average), busy (they took more than a tenth of the machine).
    """

    def __enter__(self):
        self.before = os.getloadavg(), *_processor_seconds(), time.perf_counter()
        return self

    def __exit__(self, *_):
        load, everybody, own, started = self.before
        all_now, own_now = _processor_seconds()
        taken = (all_now - everybody) - (own_now - own)
        others = max(0.0, taken / (time.perf_counter() - started))
        rounded = [[round(value, 2) for value in one] for one in (load, os.getloadavg())]
        self.state = {
            "load_average": dict(zip(("before", "after"), rounded, strict=True)),
            "others": round(others, 2),
            "busy": others > BUSY * psutil.cpu_count(),
        }


def _processor_seconds():
    """Seconds that all programs have computed, and this one with its ended children."""
    spent = psutil.cpu_times()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return spent.user + spent.nice + spent.system, sum(u.ru_utime + u.ru_stime for u in used)


def machine() -> dict:
    """Versions, processor, its cores, and how many of them this program may use (threads)."""
    from genre_utils.evaluation import study_results

    return study_results.environment() | {"cores": os.cpu_count()}
