"""Ideas that might make a network better, each beside the network that the study has.

    python -m genre_utils study --profile gtzan-mel-ten
    python benchmarks/ideas.py reports/gtzan-mel-ten --json benchmarks/ideas.json

Each changes one thing of `cnn`, or averages networks that began from other weights, and is trained
from several seeds on the study's folds by artist. That profile reads the ``train`` part of all ten
genres of GTZAN alone: the part ``valid`` has no say in what is kept. An idea earns its place if it
differs significantly from the network as it is, after Holm's correction for all that were tried.

Most of an hour on two cores. Stopped, it goes on at the fold where it was.
"""

import argparse
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it tells of its start-up otherwise

import keras
import measuring
import pandas as pd

from genre_utils.experiments import measurements
from genre_utils.models import (
    architectures,
    cross_validation,
    ensemble,
    hyperparameters,
    own_model,
    training_data,
)
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder

EPOCHS = 30  # at most, as in the profile
SEEDS = 3
AVERAGED = ("cnn", "mlp", "fusion")  # networks whose seeds are averaged

layers, ops = keras.layers, keras.ops


# ---------------------------------------------------------------------------- networks


def squeezed(x, settings):
    """Each map of the last block weighed by all of them (Hu, Shen, Sun 2018)."""
    x = architectures.convolutions(x, settings, settings.hidden_layers - 1)
    filters = x.shape[-1]
    mean = layers.GlobalAveragePooling2D()(x)
    weight = layers.Dense(filters // 4, activation="relu", name="squeeze")(mean)
    weight = layers.Dense(filters, activation="sigmoid", name="excite")(weight)
    x = layers.Multiply()([x, layers.Reshape((1, 1, filters))(weight)])
    return architectures.dense(layers.GlobalAveragePooling2D()(x), settings)


def attentive(x, settings):
    """A mean over time whose weights are learned: not all moments are equal."""
    x = architectures.convolutions(x, settings, settings.hidden_layers - 1)
    x = ops.mean(x, axis=2)  # over the bands
    heard = layers.Dense(32, activation="tanh", name="heard")(x)
    weight = layers.Softmax(axis=1)(layers.Dense(1, name="weight")(heard))
    return architectures.dense(layers.Flatten()(layers.Dot(axes=1)([weight, x])), settings)


def with_changes(x, settings):
    """How each band changes from frame to frame, beside its level."""
    change = layers.ZeroPadding1D(1)(x[:, 2:] - x[:, :-2])
    blocks = settings.hidden_layers - 1
    parts = [_pooled(x, settings, blocks, "level"), _pooled(change, settings, blocks, "change")]
    return architectures.dense(layers.Concatenate()(parts), settings)


def on_three_scales(x, settings):
    """The same spectrogram as it is, and with 4 and 16 of its frames averaged."""
    parts = [
        _pooled(layers.AveragePooling1D(frames)(x), settings, blocks, f"scale_{frames}")
        for frames, blocks in ((1, 3), (4, 2), (16, 1))
    ]
    return architectures.dense(layers.Concatenate()(parts), settings)


def _pooled(x, settings, blocks, name):
    """Mean of what blocks of convolutions find, as a layer: its own have names of their own."""
    part = keras.Input(x.shape[1:])
    found = architectures.convolutions(part, settings, blocks)
    return keras.Model(part, layers.GlobalAveragePooling2D()(found), name=name)(x)


def shifted(x, settings):
    """In training each excerpt is moved up or down by up to a twentieth of the bands."""
    frames, bands = x.shape[1:]
    x = layers.Reshape((frames, bands, 1))(x)
    x = layers.RandomTranslation(0.0, 0.05, fill_mode="nearest")(x)
    return architectures.build_cnn(layers.Reshape((frames, bands))(x), settings)


# ---------------------------------------------------------------------------- ideas


@dataclass(frozen=True)
class Idea:
    """One thing that differs from `cnn`: how it is built, or fields of its settings."""

    title: str
    build: Callable | None = None
    settings: dict = field(default_factory=dict)


IDEAS = (
    Idea("squeeze and excitation", squeezed),
    Idea("attention over time", attentive),
    Idea("changes from frame to frame", with_changes),
    Idea("three time scales", on_three_scales),
    Idea("shifts in frequency", shifted),
    Idea("masks", settings={"augmentation": ("masks",)}),
    Idea("mixup", settings={"augmentation": ("mixup",)}),
    Idea("random excerpts", settings={"augmentation": ("random excerpts",)}),
    Idea("smoothed labels", settings={"label_smoothing": 0.1}),
    Idea("a rate that falls as a cosine", settings={"schedule": "cosine"}),
)


def predicted(study: StudyFolder, name: str, idea: Idea, seed: int, epochs: int) -> pd.DataFrame:
    """Out-of-fold predictions of a network of the study, changed by an idea; see `training`."""
    data, label = training_data.load_data(study), f"{idea.title}, seed {seed}"
    settings = replace(hyperparameters.DEFAULTS[name], **idea.settings)
    per_fold = dict.fromkeys(data.fold_numbers, settings)
    options = {"epochs": epochs, "seed": seed, "label": label}
    if idea.build is None:
        return cross_validation.out_of_fold(study, name, data, per_fold, **options)[0]
    text = files.sha256(inspect.getsource(idea.build), inspect.getsource(_pooled))
    changed = own_model.OwnModel(idea.build.__name__, idea.build, settings, "log_mel", text)
    data.hashes["own"] = text
    with own_model.among_the_others(changed):
        return cross_validation.out_of_fold(study, changed.name, data, per_fold, **options)[0]


def right(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Whether each track is predicted rightly, (tracks, predictions), indexed by track_id."""
    return pd.concat([measurements.right(table) for table in tables], axis=1)


def measure(study: StudyFolder, *, ideas=IDEAS, averaged=AVERAGED, seeds=SEEDS, epochs=EPOCHS):
    """Train every idea and compare it with its network.

    Returns
    -------
    pd.DataFrame
        idea, network, accuracy (mean over the seeds) and that of the network (without), difference,
        low, high (95 % over artists), p_value (sign-flip permutation test over artists), p_holm,
        separable.

    Raises
    ------
    ValueError
        If the study has a fixed split, each look at which counts.
    """
    if why := measurements.obstacle(study):
        raise ValueError(f"ideas are not tried here: {why}.")
    groups, plain, rows = study.groups, {}, []

    def compared(title, name, changed):
        without = right(plain[name])
        changed = changed.loc[without.index]
        found = measurements.difference(changed, without, without.index.map(groups))
        scores = {"accuracy": changed.to_numpy().mean(), "without": without.to_numpy().mean()}
        rows.append({"idea": title, "network": name, **scores, **found})

    for name in dict.fromkeys(["cnn", *averaged]):
        as_it_is = Idea(f"{name} as it is")
        plain[name] = [predicted(study, name, as_it_is, seed, epochs) for seed in range(seeds)]
    for name in averaged:
        mean = ensemble.mean([one.set_index(ensemble.KEY).sort_index() for one in plain[name]])
        compared(f"mean of {seeds} seeds", name, right([mean]))
    for idea in ideas:
        tables = [predicted(study, "cnn", idea, seed, epochs) for seed in range(seeds)]
        compared(idea.title, "cnn", right(tables))
    return measurements.judged(pd.DataFrame(rows))


def told(table: pd.DataFrame) -> list[str]:
    """Sentences on what `measure` found."""
    kept = table[table["separable"] & (table["difference"] > 0)]
    best = table.loc[table["difference"].idxmax()]
    names = ", ".join(f"{row.idea} (`{row.network}`)" for row in kept.itertuples())
    return [
        f"Of {len(table)} ideas {len(kept) or 'none'} earned a place" + (f": {names}." if names
         else "."),
        f"The best, {best['idea']} (`{best['network']}`), changes its network by "
        f"{100 * best['difference']:+.1f} points [{100 * best['low']:+.1f}, "
        f"{100 * best['high']:+.1f}], p {best['p_holm']:.2g} after Holm's correction.",
    ]  # fmt: skip


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
        "seeds": SEEDS,
        "epochs": EPOCHS,
        "ideas": table.to_dict("records"),
        "says": told(table),
    }
    measuring.show(files.plain(result), options.json)


if __name__ == "__main__":
    main()
