"""How far the answers of one study differ between two machines.

    python benchmarks/machines.py ONE_REPORT OTHER_REPORT [--json FILE]

Both folders are reports of the same study, with the same data, settings, code and versions, run on
machines whose processors round differently. Takes a second. An earlier report of this project is
had by `git archive COMMIT reports/demo | tar -x -C FOLDER`; machines.json compares those of commits
81d2f41 and a68b7a4.
"""

import argparse
from pathlib import Path

import measuring
import pandas as pd

from genre_utils.evaluation import scoring
from genre_utils.workspace.study_folder import StudyFolder

SAME = ("hashes", "hyperparameters", "hyperparameters_per_fold", "max_epochs", "seed", "versions")


def compared(one: Path, other: Path) -> pd.DataFrame:
    """Differences between two reports of a study, model by model.

    Parameters
    ----------
    one, other : Path
        Folders of the reports.

    Returns
    -------
    pd.DataFrame
        Indexed by model: probability (largest difference of an excerpt's), named_otherwise (share
        of whole tracks), accuracy and accuracy_there (of whole tracks, in `one` and `other`).

    Raises
    ------
    ValueError
        If they hold other models, or a model differs by more than the machine it was trained on.
    """
    names = StudyFolder(one).require_models()
    if names != StudyFolder(other).require_models():
        raise ValueError(f"{one} and {other} do not hold the same models: compare two whole runs.")
    rows = {}
    for name in names:
        runs = [StudyFolder(study).run(name) for study in (one, other)]
        if changed := [key for key in SAME if runs[0].get(key) != runs[1].get(key)]:
            raise ValueError(f"{name} differs in {', '.join(changed)}, so not by machine alone.")
        key = ["track_id", "excerpt"]
        tables = [
            pd.read_parquet(study / "predictions" / f"{name}.parquet").sort_values(key)
            for study in (one, other)
        ]
        columns = scoring.probability_columns(tables[0])
        gap = abs(tables[0].set_index(key)[columns] - tables[1].set_index(key)[columns])
        whole = [scoring.track_probabilities(table) for table in tables]
        right = [table["y_pred"] == table["y_true"] for table in whole]
        rows[name] = {
            "probability": float(gap.to_numpy().max()),
            "named_otherwise": float((whole[0]["y_pred"] != whole[1]["y_pred"]).mean()),
            "accuracy": float(right[0].mean()),
            "accuracy_there": float(right[1].mean()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


CLOSE = 0.01  # largest difference of a probability up to which rounding has stayed rounding


def told(table: pd.DataFrame) -> list[str]:
    """Sentences on what `compared` found."""
    says, stayed = [], table["probability"] <= CLOSE
    close, apart = table[stayed], table[~stayed]
    if len(close):
        says.append(
            f"Probabilities of {', '.join(close.index)} differ by {close['probability'].max():.3f} "
            "at most."
        )
    if len(apart):
        share = 100 * apart["named_otherwise"]
        moved = 100 * abs(apart["accuracy"] - apart["accuracy_there"]).max()
        says.append(
            f"Those of {', '.join(apart.index)} part ways: {share.min():.1f} to {share.max():.1f} "
            f"% of the tracks are named otherwise, and accuracies move by up to {moved:.1f} points."
        )
    return says


def main():
    """Compare, print what came out, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("one", type=Path, help="folder of a report")
    parser.add_argument("other", type=Path, help="folder of the same study run on another machine")
    parser.add_argument("--json", type=Path, help="file to write the differences to")
    options = parser.parse_args()
    table = compared(options.one, options.other)
    print(table.round(6).to_string())
    measuring.show({"models": table.to_dict("index"), "says": told(table)}, options.json)


if __name__ == "__main__":
    main()
