"""Write where this repository is published: badges, and the cell that installs it on Colab.

    make address REPOSITORY=https://github.com/OWNER/NAME

It is kept in CITATION.cff (``repository-code``); notebooks and README.md are written from there.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GITHUB = re.compile(r"(https://github\.com/[\w.-]+/[\w.-]+?)(?:\.git)?/?")
CITED = re.compile(r"^repository-code: (\S+)\n?", re.MULTILINE)
TAG = "online"  # of the cells that are written here; pages and results know nothing of them
HOME = "/content/study"  # on Colab
START = """\
import runpy
import sys

if "google.colab" in sys.modules:  # elsewhere the study is installed already
"""
UNKNOWN = (
    '    raise SystemExit("No address to install from yet: run `make address` in a clone of this.")'
)


def code(address: str) -> str:
    """Source of the cell that installs the study on Colab."""
    if not address:
        return START.replace("import runpy\n", "") + UNKNOWN
    clone = f"test -d {HOME} || git clone -q --depth 1 {address} {HOME}"
    system = f'    get_ipython().system("{clone}")'
    system += "  # fmt: skip  # noqa: E501" if len(system) > 100 else ""
    run = f'    runpy.run_path("{HOME}/scripts/hosted.py", run_name="__main__")'
    return f"{START}{system}\n{run}"


def badges(address: str, notebook: str) -> str:
    """Badges that open a notebook on Colab and Binder."""
    name = "/".join(address.split("/")[-2:])
    colab = f"https://colab.research.google.com/github/{name}/blob/main/notebooks/{notebook}"
    binder = f"https://mybinder.org/v2/gh/{name}/HEAD?urlpath=lab/tree/notebooks/{notebook}"
    image = "https://colab.research.google.com/assets/colab-badge.svg"
    return (
        f"[![Colab]({image})]({colab}) [![Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def written(notebook: dict, name: str, address: str) -> dict:
    """Notebook, as JSON, with the cells of an address before its first cell of code."""
    cells = [cell for cell in notebook["cells"] if TAG not in cell["metadata"].get("tags", [])]
    first = next(n for n, cell in enumerate(cells) if cell["cell_type"] == "code")
    prefix, about = cells[0]["id"].split("-")[0], {"metadata": {"tags": [TAG]}}
    badge = {"cell_type": "markdown", "id": f"{prefix}-badges", **about}
    badge["source"] = [badges(address, name)]
    install = {"cell_type": "code", "execution_count": None, "id": f"{prefix}-online", **about}
    install |= {"outputs": [], "source": code(address).splitlines(keepends=True)}
    return notebook | {"cells": [*cells[:first], *[badge] * bool(address), install, *cells[first:]]}


def cited(root: Path = ROOT) -> str:
    """Address in CITATION.cff; empty where there is none yet."""
    found = CITED.search((root / "CITATION.cff").read_text(encoding="utf-8"))
    return found[1] if found else ""


def write(address: str, root: Path = ROOT) -> None:
    """Write the address into CITATION.cff, and from there into every notebook and README.md."""
    citation = CITED.sub("", (root / "CITATION.cff").read_text(encoding="utf-8")).rstrip("\n")
    line = f"repository-code: {address}\n" if address else ""
    (root / "CITATION.cff").write_text(f"{citation}\n{line}", encoding="utf-8")
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        made = written(json.loads(path.read_text(encoding="utf-8")), path.name, address)
        text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8")
    title, _, rest = (root / "README.md").read_text(encoding="utf-8").partition("\n\n")
    rest = rest.partition("\n\n")[2] if rest.startswith("[![") else rest
    shown = f"{badges(address, '01_data_preparation.ipynb')}\n\n" if address else ""
    (root / "README.md").write_text(f"{title}\n\n{shown}{rest}", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write the address that is given, or else the one that is cited already."""
    given = GITHUB.fullmatch(arguments[0]) if arguments and arguments[0] else None
    if arguments and arguments[0] and not given:
        print(f"{arguments[0]} is not an address such as https://github.com/OWNER/NAME.")
        return 1
    write(given[1] if given else cited())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
