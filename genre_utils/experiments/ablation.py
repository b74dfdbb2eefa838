"""What augmentation, normalisation, balance and the paper's advice are worth, one by one."""

import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.fft

from genre_utils.evaluation import intervals, metrics, scoring
from genre_utils.experiments import measurements
from genre_utils.features import audio, augmentation, extraction, recipes, store
from genre_utils.models import classical
from genre_utils.workspace import model_names, parallel
from genre_utils.workspace.study_folder import StudyFolder

GRID = "ablation"
KEPT = 6  # one in so many training tracks of a genre that is made rare
MFCC = 20  # coefficients that a network sees in place of the spectrogram
WAVEFORM = "augmentation of the recording"
TRAINING = "augmentation in training"
NORMALISATION = "normalisation"
BALANCE = "balance, where genres are rare"
INPUT = "what the network sees"
REGULARISATION = "regularisation of the hybrid"
RATE = "learning rate of the RNN"


@dataclass(frozen=True)
class Variant:
    """One thing that differs from a baseline, whose label is `against`; empty for a baseline."""

    label: str  # of its files
    title: str
    question: str = ""
    against: str = ""
    model: str = "cnn_paper"
    settings: dict = field(default_factory=dict)  # that differ from the paper's
    sees: tuple[str, ...] = ("log_mel",)  # side by side: log_mel, mfcc, chroma
    effects: tuple[str, ...] = ()  # of `augmentation.EFFECTS`, that a copy of each track is made by
    p: float = 1.0  # probability of each of them
    loudness: str = "none"  # of `audio.normalise_loudness`
    rare: bool = False  # whether `_rare_genres` are so in the training parts


def _slug(name):
    return name.replace(" ", "_").replace("-", "_")


def plan(*, has_audio: bool) -> list[Variant]:
    """Every variant, baselines before what is compared with them; without recordings, fewer."""
    from genre_utils.models import hyperparameters

    every, effects = hyperparameters.AUGMENTATIONS, augmentation.EFFECTS
    of_waveforms = [
        *(Variant(_slug(e), e, WAVEFORM, "baseline", effects=(e,)) for e in effects),
        Variant("waveform", "all, half of the time each", WAVEFORM, "baseline",
                effects=effects, p=0.5),
        Variant("svm", "SVM as it is", model="svm"),
        Variant("svm_rms", "SVM, equal RMS", NORMALISATION, "svm", "svm", loudness="rms"),
        Variant("svm_ebu", "SVM, equal loudness (EBU R128)", NORMALISATION, "svm", "svm",
                loudness="ebu"),
    ]  # fmt: skip
    return [
        Variant("baseline", "as it is"),
        *(of_waveforms if has_audio else []),
        *(Variant(_slug(name), name, TRAINING, "baseline", settings={"augmentation": (name,)})
          for name in every),
        Variant("in_training", "all together", TRAINING, "baseline",
                settings={"augmentation": every}),
        Variant("not_normalised", "CNN, bands not normalised", NORMALISATION, "baseline",
                settings={"normalise": False}),
        Variant("rare", "rare genres, as they come", rare=True),
        *(Variant(f"rare_{how}", f"rare genres, {how}", BALANCE, "rare",
                  settings={"balance": how}, rare=True) for how in hyperparameters.BALANCES[1:]),
    ]  # fmt: skip


def claims(*, has_audio: bool) -> list[Variant]:
    """Variants that test section 4 of Guo (2024), baselines first; without recordings, fewer."""
    seen = [("log_mel", "spectrogram", ("log_mel",))]
    if has_audio:
        seen += [
            ("chroma", "chroma alone", ("chroma",)),
            ("mfcc_chroma", "MFCC and chroma", ("mfcc", "chroma")),
            ("log_mel_chroma", "spectrogram and chroma", ("log_mel", "chroma")),
        ]
    less = [("no_l2", "L2", {"l2": 0.0}), ("no_dropout", "dropout", {"dropout": 0.0})]
    less += [("neither", "both", {"l2": 0.0, "dropout": 0.0})]
    hybrid, rnn = map(model_names.as_in_paper, ("hybrid", "rnn"))
    return [
        Variant("cnn_mfcc", "CNN, MFCC alone", sees=("mfcc",)),
        *(Variant(f"cnn_{label}", f"CNN, {title}", INPUT, "cnn_mfcc", sees=sees)
          for label, title, sees in seen),
        Variant("hybrid", "hybrid as it is", model=hybrid),
        *(Variant(f"hybrid_{label}", f"hybrid without {what}", REGULARISATION, "hybrid", hybrid,
                  settings) for label, what, settings in less),
        Variant("rnn", "RNN at 0.005", model=rnn),
        *(Variant(f"rnn_{rate:g}", f"RNN at {rate:g}", RATE, "rnn", rnn, {"learning_rate": rate})
          for rate in (0.0005, 0.001, 0.02)),
    ]  # fmt: skip


def _rare_genres(genres):
    """Genres that are made rare to see what balancing does: the first, and of four the last too."""
    return [genres[0], genres[-1]] if len(genres) > 3 else genres[:1]


def measure(study: StudyFolder, variants=plan, *, epochs: int, seed: int = 0) -> None:
    """Train and test every variant of `plan` or `claims`, and store its predictions; resumable.

    A fold is trained for `epochs` at most, of a variant with a second copy of each track for half
    as many: what is measured is variety and not more training. The seed is of initial weights,
    order and changes. A ValueError refuses a fixed split.
    """
    of = {v.label: v for v in variants(has_audio=measurements.has_audio(study))}
    decides = {label: [asdict(variant), epochs, seed] for label, variant in of.items()}
    for label, key in measurements.left(study, GRID, decides, measurements.obstacle).items():
        title = f"[{list(of).index(label) + 1}/{len(of)}] {of[label].title}"
        predictions, seconds = _measured(study, of[label], title, epochs, seed)
        trained = {"epochs": epochs, "seed": seed}
        record = {"seconds": seconds, "variant": asdict(of[label]), "trained": trained}
        measurements.store(study, GRID, label, key, predictions, **record)


def _measured(study, variant, title, epochs, seed):
    """Out-of-fold predictions of a variant, and the seconds of training and testing it."""
    derived = bool(variant.effects) or variant.loudness != "none"
    folder = derive(study, variant, seed) if derived else study
    if variant.model == "svm":
        predictions, runs = classical.predict_folds(classical.Data(folder), "svm")
        seconds = sum(run["seconds"] for run in runs)
    else:
        predictions, seconds = _deep(folder, variant, title, epochs, seed)
    if derived:
        shutil.rmtree(folder.path)  # the feature cache can give it again
    return predictions, seconds


def _thinned(folds, genre_of, genres, seed):
    """Folds in whose training parts one in `KEPT` tracks of some genres stays."""
    genre = folds["track_id"].map(genre_of)
    candidates = folds[(folds["part"] == "train") & genre.isin(genres)]
    shuffled = candidates.sample(frac=1.0, random_state=seed)
    place = shuffled.groupby([shuffled["fold"], genre]).cumcount()
    return folds.drop(index=place.index[place % KEPT != 0])


def _deep(folder, variant, title, epochs, seed):
    from genre_utils.models import cross_validation, hyperparameters, training_data  # TensorFlow

    folds = folder.folds
    if variant.rare:
        folds = _thinned(folds, folder.genre_of, _rare_genres(folder.genres), seed)
    data = training_data.load_data(folder, folds)
    if not variant.effects:
        data.keep(data.table["copy"] == 0)
    if variant.sees != ("log_mel",):
        data.show(_seen(folder, data.excerpts, variant.sees))
    settings = replace(hyperparameters.PAPER[variant.model], **variant.settings)
    settings = dict.fromkeys(folds["fold"].unique(), settings)
    options = {"epochs": max(1, epochs // 2) if variant.effects else epochs, "seed": seed}
    predictions, run = cross_validation.out_of_fold(
        folder, variant.model, data, settings, label=title, **options
    )
    return predictions, run["training_seconds"]


def _seen(study, log_mel, sees):
    """Other views of the excerpts, (excerpts, frames, values), side by side."""
    views = {
        "log_mel": lambda: log_mel,
        "mfcc": lambda: scipy.fft.dct(log_mel, norm="ortho")[..., :MFCC],
        "chroma": lambda: _chroma(study, log_mel.shape[1]),
    }
    return np.concatenate([views[name]() for name in sees], axis=-1, dtype=np.float32)


def _chroma(study, length):
    """Chroma of every excerpt of the originals, (excerpts, frames, 12), as the store cuts them."""
    index, path = study.excerpts, study.tracks.set_index("track_id")["path"]
    index = index[index["copy"] == 0]
    folder, recipe = Path(study.source["folder"]), recipes.Recipe(**study.features["recipe"])
    jobs = [(name, folder / path[name], recipe) for name in index["track_id"]]
    found = parallel.over(_chroma_of, jobs, len(jobs), desc="chroma", unit="clip", folder=folder)
    cut = zip(found, index["frames"] // length, strict=True)
    return np.concatenate([clip[: n * length].reshape(n, length, -1) for clip, n in cut])


def _chroma_of(_, path, recipe):
    """Chroma of each frame of a clip, (frames, 12)."""
    y, sr = audio.load_clip(path, seconds=recipe.clip_seconds, sr=recipe.sr)
    y = audio.normalise_loudness(y, sr, recipe.loudness)
    return extraction.frame_features(y, recipe, ("chroma",))["chroma"].T


def derive(study: StudyFolder, variant: Variant, seed: int) -> StudyFolder:
    """A study with a variant's loudness and changed copies, of hundreds of megabytes."""
    folder = study.derived(f"ablation_{variant.label}")
    folder.write(tracks=study.tracks, folds=study.folds, corpus=study.corpus)
    used = study.tracks.query("status == 'used'").reset_index(drop=True)
    recipe = recipes.Recipe(**study.features["recipe"] | {"loudness": variant.loudness})
    change: dict = {}
    if variant.effects:  # for a network, which sees nothing else
        change = {"copies": 1, "effects": variant.effects, "p": variant.p, "families": ("log_mel",)}
    store.extract(used, Path(study.source["folder"]), folder, recipe, seed=seed, **change)
    return folder


def stored(study: StudyFolder) -> dict[str, tuple[Variant, pd.DataFrame]]:
    """Variants that are stored, with their predictions, if their baseline was trained alike."""
    known = study.folds, study.tracks, study.genres
    found = measurements.stored(study, GRID, lambda _, p: scoring.check_predictions(p, *known))
    variants = {label: Variant(**record["variant"]) for label, (record, _) in found.items()}
    how = {label: [r["inputs"], r.get("trained")] for label, (r, _) in found.items()}
    return {
        label: (variant, found[label][1])
        for label, variant in variants.items()
        if how.get(variant.against or label) == how[label]
    }


def compare(study: StudyFolder, variants=plan) -> pd.DataFrame:
    """Difference in accuracy of each stored variant from its baseline, on the same tracks.

    Gives label, question, title, baseline and accuracy (of whole tracks), difference, low, high
    (95 % over artists), p_value (sign-flip permutation test over artists), p_holm (Holm over all
    rows), separable, and verdict: helps, hurts or not significantly different. Empty if nothing is
    stored.
    """
    found, groups, rows = stored(study), study.groups, []
    right = {label: measurements.right(table) for label, (_, table) in found.items()}
    for label in [variant.label for variant in variants(has_audio=True) if variant.label in found]:
        variant = found[label][0]
        if variant.against:
            after, before = right[label], right[variant.against]
            row = {"label": label, "question": variant.question, "title": variant.title}
            row |= {"baseline": before.mean(), "accuracy": after.mean()}
            rows.append(row | measurements.difference(after, before, after.index.map(groups)))
    table = measurements.judged(pd.DataFrame(rows))
    if len(table):
        direction = np.where(table["difference"] > 0, "helps", "hurts")
        unclear = "not significantly different"
        table["verdict"] = np.where(table["separable"], direction, unclear)
    return table


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`compare` as a table to be read."""
    columns = {"change": table["title"], "baseline": table["baseline"]}
    return measurements.readable(table, columns | {"accuracy": table["accuracy"]})


def balance_by_genre(study: StudyFolder) -> pd.DataFrame:
    """F1 of every genre where some are rare in training: as they come, weighted, and sampled.

    Gives genre, rare (bool), title, f1, low, high, and difference, difference_low, difference_high
    from the same network without balancing (paired bootstrap over artists; not corrected for the
    number of genres). Empty if nothing is stored.
    """
    genres, found, tables = study.genres, stored(study), []
    if "rare" not in found:
        return pd.DataFrame()
    before, drawn_before = _f1(found["rare"][1], study)
    for label in [label for label in ("rare", "rare_weights", "rare_sampling") if label in found]:
        f1, drawn = _f1(found[label][1], study)
        table = pd.DataFrame({"genre": genres, "rare": np.isin(genres, _rare_genres(genres))})
        table["title"] = found[label][0].title.removeprefix("rare genres, ")
        table["f1"] = f1
        table["low"], table["high"] = intervals.interval(drawn)
        table["difference"] = f1 - before
        table["difference_low"], table["difference_high"] = intervals.interval(drawn - drawn_before)
        tables.append(table)
    whole = pd.concat(tables, ignore_index=True)
    return whole.sort_values("rare", ascending=False, kind="stable")


def _f1(predictions, study):
    """F1 of each genre, shape (genres,), and in each bootstrap replicate, (replicates, genres)."""
    tracks = scoring.track_probabilities(predictions)
    confusions = metrics.group_confusions(tracks, study.groups, study.genres)
    drawn = np.tensordot(intervals.bootstrap_weights(len(confusions)), confusions, axes=1)
    whole = metrics.metrics_from_confusion(confusions.sum(axis=0))["genre_f1"]
    return whole, metrics.metrics_from_confusion(drawn, absent=np.nan)["genre_f1"]
