"""Wall and CPU time of finished studies, stage by stage, as they recorded it (`stages/*.json`).

    python benchmarks/study.py reports/demo

A stage that was stopped and went on counts from where it went on: the times of a study are whole
if it ran through. Without folders, all of the folder of reports are shown.
"""

from pathlib import Path

import measuring

from genre_utils.workspace import files

TIMES = ["seconds", "cpu_seconds"]


def stages(study: Path) -> dict:
    """Wall and CPU seconds of each stage that a study has recorded, in order."""
    found = {path.stem: files.read_json(path) for path in sorted(study.glob("stages/*.json"))}
    return {
        name: {key: record[key] for key in TIMES}
        for name, record in found.items()
        if record.keys() >= set(TIMES)  # older ones lack the latter
    }


def measure(folders: list[Path]) -> dict:
    """Times of each study, and the sentences that tell them."""
    studies, says, figures = {}, [], {}
    for folder in folders:
        took = stages(folder)
        wall, cpu = (sum(one[key] for one in took.values()) / 60 for key in TIMES)
        results = folder / "results.json"
        machine = files.read_json(results)["environment"] if results.exists() else None
        studies[folder.name] = {"stages": took, "environment": machine}
        each = ", ".join(
            f"{name} {one['seconds'] / 60:.1f} ({one['cpu_seconds'] / 60:.1f})"
            for name, one in took.items()
        )
        says.append(f"{folder.name}: {wall:.1f} minutes, {cpu:.1f} CPU-minutes ({each}).")
        figures[f"{folder.name}, minutes"] = measuring.figure(wall)
        figures[f"{folder.name}, CPU-minutes"] = measuring.figure(cpu)
    return {"studies": studies, "says": says, "figures": figures}


def main():
    """Show the times of the studies that have any."""
    parser = measuring.parser(__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="default: all in reports/")
    options = parser.parse_args()
    folders = options.folders or sorted(files.reports_folder().iterdir())
    folders = [folder for folder in folders if stages(folder)]
    if not folders:
        measuring.left_out("no study here has recorded its times (stages/): run `make study` first")
    measuring.show(measure(folders), options.json)


if __name__ == "__main__":
    main()
