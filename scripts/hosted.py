"""Install the study where a Jupyter of its own is running already.

On Binder ``.binder/postBuild`` runs this, on Colab the first cell of a notebook. There the session
has to be restarted once if it has loaded other versions, of NumPy for example.
"""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
THEIRS = ("jupyterlab", "ipykernel")  # of the host, which may not work with others


def installed(name: str) -> bool:
    """Whether a distribution is installed."""
    return any(metadata.distributions(name=name))


def requirements(text: str) -> list[str]:
    """Requirements that are pinned in a text, without those of tests and what a host brings."""
    text = "\n\n".join(group for group in text.split("\n\n") if not group.startswith("# tests"))
    if installed("tensorflow"):  # on Colab; tensorflow-cpu would write into its folder
        text = re.sub(r"^tensorflow-cpu(==\S+).*$", r"tensorflow\1", text, flags=re.MULTILINE)
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [line for line in lines if "==" in line and not line.startswith(THEIRS)]


def pip(*arguments: str) -> None:
    """Install by pip, or stop with what it says."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"The study could not be installed:\n{done.stderr[-3000:]}")


def stale(wanted: list[str]) -> list[str]:
    """Modules that this process has loaded in other versions than are wanted."""
    pinned = [line.partition(";")[0].strip().split("==") for line in wanted]
    told = {n: vars(sys.modules[n]).get("__version__") for n, _ in pinned if n in sys.modules}
    return [n for n, pin in pinned if (told.get(n) or pin).lstrip("v") != pin]


def main() -> None:
    """Install what is missing, and go to the notebooks."""
    if not installed("genre-utils"):
        print("Installing the study: some minutes, once.", flush=True)
        wanted = requirements((ROOT / "requirements.txt").read_text(encoding="utf-8"))
        pip("--no-deps", "--requirement", "requirements-nodeps.txt")
        pip(*wanted, "--editable", ".")
        if loaded := stale(wanted):
            raise SystemExit(
                f"Installed, but other versions of {', '.join(loaded)} are in use. Restart the "
                "session (Runtime > Restart session), then run the notebook from its first cell."
            )
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT / "notebooks")


if __name__ == "__main__":
    main()
