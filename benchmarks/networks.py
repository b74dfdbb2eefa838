"""What size, length of training and each part of the recipe are worth: accuracy against cost.

    python -m genre_utils study --profile gtzan-mel-ten
    python benchmarks/networks.py reports/gtzan-mel-ten --json benchmarks/networks.json

Each variant differs from a network of the study in one thing, and is trained on the study's folds
by artist. That profile reads the ``train`` part of all ten genres of GTZAN alone: the part
``valid`` has no say in what is kept.

Some hours on two cores. Stopped, it goes on at the fold where it was.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it tells of its start-up otherwise

import measuring
import pandas as pd

from genre_utils.evaluation import intervals
from genre_utils.experiments import measurements
from genre_utils.models import cross_validation, hyperparameters, training_data
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder

EVERY = hyperparameters.AUGMENTATIONS
SIZES = {"half as wide": {"width": 0.5}, "twice as wide": {"width": 2.0}}
LENGTHS = {"8 epochs": {"fixed_epochs": 8}, "30 epochs": {"fixed_epochs": 30}}
RECIPE = {
    **{f"without {one}": {"augmentation": tuple(a for a in EVERY if a != one)} for one in EVERY},
    "a constant rate": {"schedule": "constant", "warmup": 0.0},
    "averaged weights": {"averaging": 0.99},
    "a constant rate, averaged weights": {"schedule": "constant", "warmup": 0.0, "averaging": 0.99},
    "labels not smoothed": {"label_smoothing": 0.0},
    "less dropout": {"dropout": 0.2},
    "adam, no weight decay": {"optimizer": "adam"},
}
#: What is changed of each network, one at a time.
VARIANTS: dict[str, dict[str, dict]] = {
    "cnn": SIZES | {"three layers": {"hidden_layers": 3}} | LENGTHS | RECIPE,
    "hybrid": SIZES | LENGTHS,
    "gru": SIZES | LENGTHS,
    "fusion": SIZES | LENGTHS,
}


def trained(study: StudyFolder, name: str, title: str, changes: dict):
    """Out-of-fold predictions of a network with some settings changed, and its run."""
    data = training_data.load_data(study)
    settings = replace(hyperparameters.DEFAULTS[name], **changes)
    per_fold = dict.fromkeys(data.fold_numbers, settings)
    options = {"epochs": settings.fixed_epochs, "seed": 0, "label": f"{name}, {title}"}
    return cross_validation.out_of_fold(study, name, data, per_fold, **options)


def measure(study: StudyFolder, variants=VARIANTS) -> pd.DataFrame:
    """Train every variant and compare it with its network.

    Returns
    -------
    pd.DataFrame
        network, change ("" as it is), accuracy of whole tracks, low and high (95 % over artists),
        parameters, multiply_adds_per_second, cpu_seconds (per fold); difference from the network as
        it is, difference_low, difference_high, p_value, p_holm, separable.

    Raises
    ------
    ValueError
        If the study has a fixed split, each look at which counts.
    """
    if why := measurements.obstacle(study):
        raise ValueError(f"networks are not tried here: {why}.")
    groups, rows, compared = study.groups, [], []
    for name, changed in variants.items():
        plain = None
        for title, changes in {"": {}, **changed}.items():
            table, run = trained(study, name, title or "as it is", changes)
            right = measurements.right(table)
            owner = right.index.map(groups)
            low, high = intervals.accuracy_interval(right.to_numpy(), owner.to_numpy())
            rows.append(
                {
                    "network": name,
                    "change": title,
                    "accuracy": right.mean(),
                    "low": low,
                    "high": high,
                    "parameters": run["parameters"],
                    "multiply_adds_per_second": run["multiply_adds_per_second"],
                    "cpu_seconds": run["training_cpu_seconds"] / len(run["folds"]),
                }
            )
            if plain is None:
                plain = right
            else:
                found = measurements.difference(right, plain.loc[right.index], owner)
                compared.append({"network": name, "change": title, **found})
    judged = measurements.judged(pd.DataFrame(compared))
    judged = judged.rename(columns={"low": "difference_low", "high": "difference_high"})
    return pd.DataFrame(rows).merge(judged, how="left", on=["network", "change"])


def told(table: pd.DataFrame) -> list[str]:
    """Sentences on what `measure` found."""
    changes = table[table["change"] != ""]
    better, worse = (changes[changes["separable"].eq(True) & (sign * changes["difference"] > 0)]
                     for sign in (1, -1))  # fmt: skip
    best = changes.loc[changes["difference"].idxmax()]
    return [
        f"Of {len(changes)} changes, after correction (Holm), {_counted(better)} significantly "
        f"better than the network as it is, and {_counted(worse)} significantly worse.",
        f"The best, {best['change']} (`{best['network']}`), changes it by "
        f"{100 * best['difference']:+.1f} points [{100 * best['difference_low']:+.1f}, "
        f"{100 * best['difference_high']:+.1f}], p {best['p_holm']:.2g} after correction.",
    ]


def _counted(rows):
    return "one is" if len(rows) == 1 else f"{len(rows) or 'none'} are"


def main():
    """Measure, print what came out, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of a study with folds")
    parser.add_argument("--json", type=Path, help="file to write the measurements to")
    options = parser.parse_args()
    study = StudyFolder(options.study.resolve())
    table = measure(study)
    print(table.round(4).to_string(index=False))
    result = {
        "environment": measuring.machine(),
        "corpus": {key: study.corpus[key] for key in ("name", "tracks", "artists")},
        "networks": table.to_dict("records"),
        "says": told(table),
    }
    measuring.show(files.plain(result), options.json)


if __name__ == "__main__":
    main()
