"""All benchmarks, or those named; each run is kept, and a page draws the history of their figures.

    python benchmarks/run.py [NAME ...] [--quick] [--cores 2]

Names are those of the scripts beside this file. Every run leaves history/DATE-NAME.json, with the
commit and the state of the machine, and the page history/index.html. The newest complete result
of each is NAME.json beside the script; a quick run does not replace it.
"""

import argparse
import base64
import io
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import matplotlib
import measuring
from matplotlib.figure import Figure

from genre_utils.workspace import files

HERE = Path(__file__).parent
HISTORY = HERE / "history"
#: From quick to long: the last takes more than half an hour.
NAMES = ("strange", "study", "interval_coverage", "extraction", "scaling", "recognition", "memory")
NAMES += ("peer",)


def run(name: str, folder: Path, *, quick: bool) -> Path | None:
    """Run a benchmark and keep what it measured; returns the file, or None if it was left out.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    started = datetime.now(UTC)
    changed = _git("status", "--porcelain", "--", "genre_utils", "benchmarks/*.py")
    record = {
        "benchmark": name,
        "date": started.isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed": bool(changed),
        "quick": quick,
    }
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "result.json" if quick else HERE / f"{name}.json"
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(result)]
        with measuring.Watch() as watch:
            status = subprocess.run(command + ["--quick"] * quick).returncode
        if status == measuring.LEFT_OUT:  # it has said why
            return None
        if status:
            raise RuntimeError(f"the benchmark {name} failed with status {status}; see above")
        record["machine"] = measuring.machine() | watch.state
        record["result"] = files.read_json(result)
    path = folder / f"{started:%Y-%m-%dT%H-%M-%S.%f}-{name}.json"
    files.write_json(path, record)
    return path


def _git(*words):
    """What git says of this repository; None outside one."""
    said = subprocess.run(["git", "-C", str(files.ROOT), *words], capture_output=True, text=True)
    return said.stdout.strip() if said.returncode == 0 else None


# ---------------------------------------------------------------------------- the page


def draw(folder: Path) -> Path:
    """Write the page of everything that `folder` holds."""
    records = [files.read_json(path) for path in sorted(folder.glob("*.json"))]
    parts = []
    for name in NAMES:
        runs = [record for record in records if record["benchmark"] == name]
        if runs:
            newest = [one for one in runs if not one["quick"]] or runs
            about = {"name": name, "newest": newest[-1], "runs": runs[::-1]}
            parts.append(about | {"svg": _chart(runs)})
    template = jinja2.Environment(autoescape=True).from_string((HERE / "page.html.j2").read_text())
    style = files.ROOT / "genre_utils" / "report" / "template" / "style.css"
    page = folder / "index.html"
    with files.atomic_write(page) as temporary:
        temporary.write_text(template.render(parts=parts, style=style.read_text()), "utf-8")
    return page


def _chart(runs):
    """Each figure of a benchmark over its runs, as SVG in base64; hollow: quick or disturbed."""
    names = dict.fromkeys(name for run in runs for name in run["result"]["figures"])
    style = {"svg.hashsalt": "genre", "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(style):
        figure = Figure((7, 1.5 * len(names)), layout="constrained")
        for axes, name in zip(figure.subplots(len(names), squeeze=False)[:, 0], names, strict=True):
            _history(axes, name, runs)
        figure.savefig(image := io.BytesIO(), format="svg", metadata={"Date": None})
    return base64.b64encode(image.getvalue()).decode()


def _history(axes, name, runs):
    """Draw one figure over all runs, and the goal that it had last."""
    goal = None
    for place, run in enumerate(runs):
        if name in run["result"]["figures"]:
            one = run["result"]["figures"][name]
            goal = next(((side, one[side]) for side in ("least", "most") if side in one), None)
            fill = "none" if run["quick"] or run["machine"]["busy"] else "C0"
            axes.plot(place, one["value"], "o", color="C0", markerfacecolor=fill)
    if goal:
        axes.axhline(goal[1], color="0.4", linestyle="--", linewidth=1)
        name += f" (dashed: goal, at {goal[0]} {goal[1]:g})"
    axes.set_title(name, loc="left", fontsize=9)
    axes.set_xticks(range(len(runs)), [run["date"][:10] for run in runs])
    axes.set_xlim(-0.5, len(runs) - 0.5)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])


def main() -> int:
    """Run what was asked for, and draw the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", choices=[*NAMES, []], metavar="NAME", help="default: all"
    )
    parser.add_argument("--quick", action="store_true", help="little of it, to see that it works")
    parser.add_argument("--cores", type=int, help="use only so many (Linux)")
    parser.add_argument("--history", type=Path, default=HISTORY, help="folder to keep runs in")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    failed = 0
    for name in options.names or NAMES:
        print(f"\n== {name}", flush=True)
        try:
            run(name, options.history, quick=options.quick)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            failed = 1
    print(f"\n{draw(options.history)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
