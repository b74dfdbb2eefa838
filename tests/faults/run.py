"""Disturb a small study in the ways that a long one meets: it must end as if nothing had been.

A study of eight short composed tracks (two folds, an RNN and an SVM) runs once undisturbed. After
each fault the same command must finish, and its predictions, folds, features and numbers must be
the same, bit for bit. Prints a table; exits with 1 if a fault failed. What is passed is kept in the
work folder, so that a run that was stopped goes on with what is left.

    python tests/faults/run.py [--kills 20] [--only FAULT ...] [--work FOLDER]

Disks are filled, and made read-only, as small tmpfs mounts, which needs root.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from genre_utils.workspace import files

SETTINGS = {
    "GENRES": "[rock, jazz]", "ARTISTS_PER_GENRE": 4, "TRACKS_PER_ARTIST": 1, "CLIP_SECONDS": 12,
    "FOLDS": 2, "EPOCHS": 2, "MODELS": "[rnn, svm]", "AUGMENTED_COPIES": 0, "ABLATION": "false",
    "EXAMPLES": 2, "PIECES": 1,
}  # fmt: skip
SEED = 0  # of the moments at which studies are killed
LIMIT = 3600  # seconds that a study may take, on a machine with much else to do
MEGABYTE = 1 << 20


class Failed(AssertionError):
    """A fault was not overcome."""


class Skipped(Exception):
    """A fault cannot be made on this machine."""


def check(holds, message):
    if not holds:
        raise Failed(message)


# ------------------------------------------------------------------ a study, and what comes of it


def start(place, *, study="study", **environment):
    """Start the study with its reports and caches under `place`, as the leader of a group."""
    place.mkdir(parents=True, exist_ok=True)
    settings = [f"--set={key}={value}" for key, value in {**SETTINGS, "STUDY_DIR": study}.items()]
    folders = {
        "GENRE_REPORTS_DIR": str(place / "reports"),
        "GENRE_CACHE_DIR": str(place / "cache"),
    }
    with open(place / f"{study}.log", "w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "genre_utils", "study", "--profile", "quick", *settings],
            env=os.environ | folders | environment,
            stdout=log, stderr=subprocess.STDOUT, cwd=place, start_new_session=True,
        )  # fmt: skip


def said(place, study="study"):
    """What the last run has said, without its progress bars."""
    text = (place / f"{study}.log").read_text(errors="replace")
    return "\n".join(line.rpartition("\r")[2] for line in text.split("\n"))


def finish(place, **options):
    """Run the study to its end."""
    code = start(place, **options).wait(LIMIT)
    check(code == 0, f"exit code {code}: {said(place)[-600:]}")


def refused(child, place, *parts, study="study"):
    """Wait for a study that must fail, without a traceback, with certain words."""
    code, told = child.wait(LIMIT), said(place, study)
    check(code == 1, f"exit code {code}, not 1: {told[-600:]}")
    for part in parts:
        check(re.search(part, told), f"{part!r} is not in: {told[-600:]}")
    check("Traceback" not in told, f"a traceback: {told[-600:]}")
    return told.strip().splitlines()[-1]


def until(place, child, name, study="study"):
    """Wait until a file of a study is there."""
    deadline = time.time() + LIMIT
    while not list((place / "reports" / study).glob(name)):
        check(child.poll() is None and time.time() < deadline, f"no {name}: {said(place)[-600:]}")
        time.sleep(0.05)


def outcome(place, study="study"):
    """MD5 of all that two equal studies have in common, by its name."""
    folder = place / "reports" / study
    names = [*folder.glob("*.parquet"), *folder.rglob("predictions/**/*.parquet")]
    found = {
        str(p.relative_to(folder)): files.file_md5(p) for p in [*names, folder / "features.npy"]
    }
    return found | {
        "results.json": files.sha256(timeless(files.read_json(folder / "results.json")))
    }


def timeless(value):
    """Content of a JSON file without what time and machine decide."""
    if isinstance(value, dict):
        items = {key: timeless(item) for key, item in value.items()}
        return {k: v for k, v in items.items() if "seconds" not in k and k != "environment"}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def compare(place, undisturbed, study="study"):
    found = outcome(place, study)
    other = sorted(k for k in found.keys() | undisturbed if found.get(k) != undisturbed.get(k))
    check(not other, f"not as undisturbed: {', '.join(other)}")


def family(child):
    """Processes that a study has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(child.pid).children(recursive=True)
    return []


def all_end(processes, seconds):
    """Check that processes end by themselves, and do not work on unseen."""
    _, left = psutil.wait_procs(processes, timeout=seconds)
    check(not left, f"still running after {seconds} s: {left}")


def all_rest(processes):
    """Check that processes end, or wait for work that does not come, as joblib's do for 5 minutes.

    Those of a notebook whose study was killed: its kernel ends, and its workers have no one to ask.
    """
    _, left = psutil.wait_procs(processes, timeout=60)
    before = busy_seconds(left)
    time.sleep(3)
    check(busy_seconds(left) - before < 0.5, f"working on after 60 s: {left}")


def busy_seconds(processes):
    """Processor time that those which still run have taken."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:2])
    return total


# ------------------------------------------------------------------ the faults


def kills(place, base, *, count, **_):
    """Kill -9 at random moments, now the study alone and now its whole group, and go on."""
    draw, left, hit, ended = random.Random(SEED), count, Counter(), 0
    while left:
        child = start(place)
        where = random_moment(place, base, child, draw)
        if child.poll() is None:
            hit[where] += 1
            started = family(child)
            if left % 2:
                child.kill()
            else:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            all_rest(started)
            left -= 1
            continue
        check(child.returncode == 0, f"exit code {child.returncode}: {said(place)[-600:]}")
        compare(place, base["outcome"])
        ended += 1
        shutil.rmtree(place)
    finish(place)
    compare(place, base["outcome"])
    spread = ", ".join(f"{where} {times}" for where, times in sorted(hit.items()))
    return f"{count} kills ({spread}); {ended + 1} studies finished, all the same"


def random_moment(place, base, child, draw):
    """Wait for some moment of the first step that is to be done or the next; return which."""
    skipped, seconds = draw.randrange(2), draw.random()
    while True:
        steps = re.findall(r"^(?:\[\d/\d\] )?(\w+)(?: the reports)? \.\.\.$", said(place), re.M)
        if len(steps) > skipped or child.poll() is not None:
            break
        time.sleep(0.05)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(seconds * base["steps"].get(steps[-1], 10.0))
    return steps[-1]


def stopped(place, base, number, code, **_):
    child = start(place)
    until(place, child, "folds_done/rnn/*.parquet")
    started = family(child)
    child.send_signal(number)
    check(child.wait(60) == code, f"exit code {child.returncode}, not {code}")
    all_end(started, 1)
    told = said(place).strip().splitlines()[-1]
    check(told.startswith("Stopped. The same command goes on"), told)
    finish(place)
    compare(place, base["outcome"])
    return f"exit code {code}, nothing left running; then finished"


def interrupted(place, base, **_):
    """Ctrl-C in the middle of training."""
    return stopped(place, base, signal.SIGINT, 130)


def terminated(place, base, **_):
    """SIGTERM in the middle of training."""
    return stopped(place, base, signal.SIGTERM, 143)


@contextlib.contextmanager
def disk(folder, size):
    """Mount a disk of so many bytes; yield what mounts it with other options."""
    folder.mkdir(parents=True, exist_ok=True)

    def mount(*options):
        done = subprocess.run(["mount", *options, folder], capture_output=True, text=True)
        if done.returncode:
            raise Skipped(f"no disk can be mounted: {done.stderr.strip()}")

    mount("-t", "tmpfs", "-o", f"size={size}", "none")
    try:
        yield lambda options: mount("-o", f"remount,{options}")
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def full(place, base, name):
    for share in (0.3, 0.7):
        with disk(place / name, round(share * base["sizes"][name])) as remount:
            folder = re.escape(str(place / name))
            told = refused(start(place), place, rf"The disk is full that holds {folder}.* MB free")
            remount(f"size={3 * base['sizes'][name] + 100 * MEGABYTE}")
            finish(place)
            compare(place, base["outcome"])
        shutil.rmtree(place)
    return told.replace(str(place), "...")


def full_reports(place, base, **_):
    """The disk of the reports fills up, early and late; then there is room."""
    return full(place, base, "reports")


def full_cache(place, base, **_):
    """The disk of the cache fills up, early and late; then there is room."""
    return full(place, base, "cache")


def read_only(place, base, **_):
    """Reports, then the cache, become read-only in the middle; then writable again."""
    for name in ("reports", "cache"):
        with disk(place / name, 3 * base["sizes"][name] + 100 * MEGABYTE) as remount:
            child = start(place)
            until(place, child, "stages/01_data_preparation.json")
            started = family(child)
            child.kill()
            child.wait()
            all_rest(started)
            remount("ro")
            words = f"{re.escape(str(place / name))}.* cannot be written to: Read-only file system"
            told = refused(start(place), place, words)
            remount("rw")
            finish(place)
            compare(place, base["outcome"])
        shutil.rmtree(place)
    return told.replace(str(place), "...")


def two_at_once(place, base, **_):
    """A second study in the same folder is refused; one in another shares the cache."""
    first, other = start(place), start(place, study="other")
    until(place, first, "stages/01_data_preparation.json")
    shutil.copy(place / "study.log", place / "first.log")
    second = start(place)
    told = refused(second, place, f"another study is running in this folder .process {first.pid} ")
    for child in (first, other):
        check(child.wait(LIMIT) == 0, said(place, "other")[-600:])
    compare(place, base["outcome"])
    compare(place, base["outcome"], study="other")
    return told.replace(str(place), "...")


def spoil_half(path):
    """Cut a file off in the middle."""
    os.truncate(path, path.stat().st_size // 2)


def spoil_byte(path):
    """Change a byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)


def spoil_content(path):
    """Put something else that can be read in its place."""
    other = [p for p in path.parent.glob(f"*{path.suffix}") if p != path]
    if path.suffix == ".npy" and path.parent.parent.parent.name == "fingerprints":
        np.save(path, np.load(path)[::2])
    elif path.suffix == ".parquet" and "p_jazz" in (table := pd.read_parquet(path)):
        table[["p_jazz", "p_rock"]] = table[["p_rock", "p_jazz"]].to_numpy()
        table.to_parquet(path, index=False)
    elif path.suffix == ".json":
        path.write_text(re.sub(r"\d", "1", path.read_text()))
    elif other:
        shutil.copyfile(other[0], path)


#: Of what a study and its cache hold, one file of each kind.
KINDS = [
    "cache/features/*/*.npz", "cache/fingerprints/*/*/*.npy", "cache/synthetic/*/rock/*.flac",
    "cache/synthetic/*/tracks.csv", "cache/synthetic/*/corpus.json",
    "reports/study/folds_done/rnn/00*.parquet", "reports/study/folds_done/rnn/01*.json",
    "reports/study/folds_done/rnn/00*.keras", "reports/study/models/rnn.*",
    "reports/study/predictions/*.parquet", "reports/study/runs/rnn.json",
    "reports/study/features.*", "reports/study/folds.parquet", "reports/study/tracks.parquet",
    "reports/study/corpus.json", "reports/study/source.json", "reports/study/results.json",
    "reports/study/notebooks/04_rnn.ipynb", "reports/study/index.html",
]  # fmt: skip


def altered(place, base, spoil, *, forget):
    shutil.copytree(base["place"] / "reports", place / "reports")
    shutil.copytree(base["place"] / "cache", place / "cache")
    source = place / "reports" / "study" / "source.json"  # which says where the cache was
    source.write_text(source.read_text().replace(str(base["place"]), str(place)))
    spoiled = [sorted(place.glob(kind)) for kind in KINDS]
    check(all(spoiled), "a kind of file is not there")
    for found in spoiled:
        spoil(found[0])
    if forget:
        shutil.rmtree(place / "reports" / "study" / "stages")
    finish(place)
    compare(place, base["outcome"])
    return f"{len(KINDS)} kinds of files, all made again"


def cut_off(place, base, **_):
    """Files of every kind cut off in the middle, and records of what is done lost."""
    return altered(place, base, spoil_half, forget=True)


def a_byte_changed(place, base, **_):
    """A byte changed in files of every kind."""
    return altered(place, base, spoil_byte, forget=False)


def content_changed(place, base, **_):
    """Plausible but wrong content in files of every kind, and records of what is done lost."""
    return altered(place, base, spoil_content, forget=True)


def elsewhere(place, base, **_):
    """Another hash seed, time zone and locale, and every listing of a folder in another order."""
    shuffled = str(Path(__file__).with_name("shuffled"))
    path = os.pathsep.join([shuffled, *filter(None, [os.environ.get("PYTHONPATH")])])
    other = {"PYTHONHASHSEED": "2", "TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONPATH": path}
    finish(place, **other)
    compare(place, base["outcome"])
    return "the same, bit for bit"


FAULTS = [elsewhere, cut_off, a_byte_changed, content_changed, two_at_once, interrupted, terminated]
FAULTS += [full_reports, full_cache, read_only, kills]


# ------------------------------------------------------------------ all of them


def undisturbed(work):
    """Outcome, seconds and sizes of a study that nobody disturbs."""
    place, known = work / "undisturbed", work / "undisturbed.json"
    if not known.exists():
        shutil.rmtree(place, ignore_errors=True)
        began = time.time()
        finish(place, PYTHONHASHSEED="1", TZ="UTC")
        sizes = {
            name: sum(p.stat().st_size for p in (place / name).rglob("*") if p.is_file())
            for name in ("reports", "cache")
        }
        base = {"seconds": time.time() - began, "sizes": sizes, "outcome": outcome(place)}
        files.write_json(known, base)
    stages = (place / "reports" / "study" / "stages").glob("[0-9]*.json")
    steps = {path.stem: files.read_json(path)["seconds"] for path in stages}
    return files.read_json(known) | {"place": place, "steps": steps}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [fault.__name__ for fault in FAULTS]
    parser.add_argument("--kills", type=int, default=20, help="how often to kill (default: 20)")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="FAULT")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "genre-faults")
    options = parser.parse_args()
    work = options.work.resolve()
    base, failed = undisturbed(work), 0
    print(f"{'undisturbed':<16}{'':<9}{base['seconds']:6.0f} s  {len(base['outcome'])} files")
    for fault in [fault for fault in FAULTS if fault.__name__ in options.only]:
        name, place = fault.__name__, work / fault.__name__
        record = work / f"{name}.json"
        if not record.exists():
            shutil.rmtree(place, ignore_errors=True)
            began = time.time()
            try:
                result = {"passed": "passed", "told": fault(place, base, count=options.kills)}
            except (Failed, Skipped) as error:
                result = {"passed": type(error).__name__.upper(), "told": str(error)}
            result["seconds"] = time.time() - began
            if result["passed"] == "passed":
                files.write_json(record, result)
                shutil.rmtree(place, ignore_errors=True)
        else:
            result = files.read_json(record)
        failed += result["passed"] == "FAILED"
        line = f"{name:<16}{result['passed']:<9}{result['seconds']:6.0f} s  {result['told']}"
        print(line, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
