"""What augmentation, normalisation and balance are worth: one change at a time, measured.

A variant is the study's network (or its SVM) with one thing changed. It is trained and tested on
the study's own folds, and compared with its baseline on the same tracks.
"""

import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.fft

from genre_utils.data import splits
from genre_utils.evaluation import comparisons, intervals, metrics, scoring, study_results
from genre_utils.experiments import measurements
from genre_utils.features import audio, augmentation, spectral, store
from genre_utils.models import classical
from genre_utils.plots import formatting
from genre_utils.workspace import evidence, files, parallel

GRID = "ablation"  # folder of the predictions
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
    """One thing that differs from a baseline.

    Attributes
    ----------
    label : str
        Names its files.
    title, question : str
        How it is shown, and what it is about.
    against : str
        Label of its baseline; empty for a baseline.
    model : str
        A network, or ``svm``.
    settings : dict
        Fields of `hyperparameters.Hyperparameters` that differ from the paper's.
    sees : tuple of str
        What the network reads, from log_mel, mfcc and chroma, side by side.
    effects : tuple of str
        What changes the recording of one more copy of each training track, from
        `augmentation.EFFECTS`.
    p : float
        Probability of each of these.
    loudness : str
        See `audio.normalise_loudness`.
    rare : bool
        Whether some genres are made rare in the training parts (see `rare_genres`).
    """

    label: str
    title: str
    question: str = ""
    against: str = ""
    model: str = "cnn"
    settings: dict = field(default_factory=dict)
    sees: tuple[str, ...] = ("log_mel",)
    effects: tuple[str, ...] = ()
    p: float = 1.0
    loudness: str = "none"
    rare: bool = False


def _slug(name):
    return name.replace(" ", "_").replace("-", "_")


def plan(*, has_audio: bool) -> list[Variant]:
    """Every variant, baselines before what is compared with them.

    Parameters
    ----------
    has_audio : bool
        Whether there are recordings; changes of a waveform are left out where there are none.
    """
    from genre_utils.models import hyperparameters

    of_waveforms = [
        *(Variant(_slug(e), e, WAVEFORM, "baseline", effects=(e,)) for e in augmentation.EFFECTS),
        Variant("waveform", "all, half of the time each", WAVEFORM, "baseline",
                effects=augmentation.EFFECTS, p=0.5),
        Variant("svm", "SVM as it is", model="svm"),
        Variant("svm_rms", "SVM, equal RMS", NORMALISATION, "svm", "svm", loudness="rms"),
        Variant("svm_ebu", "SVM, equal loudness (EBU R128)", NORMALISATION, "svm", "svm",
                loudness="ebu"),
    ]  # fmt: skip
    every = hyperparameters.AUGMENTATIONS
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
    """Variants that test what Guo (2024) says of networks, baselines first.

    Section 4 of the paper: spectrogram and chroma tell more than MFCC alone, L2 and dropout help
    the hybrid, and a learning rate of 0.005 suits the RNN.

    Parameters
    ----------
    has_audio : bool
        Whether there are recordings; chroma is left out where there are none.
    """
    chroma = [
        Variant("cnn_chroma", "CNN, chroma alone", INPUT, "cnn_mfcc", sees=("chroma",)),
        Variant("cnn_mfcc_chroma", "CNN, MFCC and chroma", INPUT, "cnn_mfcc",
                sees=("mfcc", "chroma")),
        Variant("cnn_log_mel_chroma", "CNN, spectrogram and chroma", INPUT, "cnn_mfcc",
                sees=("log_mel", "chroma")),
    ]  # fmt: skip
    return [
        Variant("cnn_mfcc", "CNN, MFCC alone", sees=("mfcc",)),
        Variant("cnn_log_mel", "CNN, spectrogram", INPUT, "cnn_mfcc"),
        *(chroma if has_audio else []),
        Variant("hybrid", "hybrid as it is", model="hybrid"),
        Variant("hybrid_no_l2", "hybrid without L2", REGULARISATION, "hybrid", "hybrid",
                settings={"l2": 0.0}),
        Variant("hybrid_no_dropout", "hybrid without dropout", REGULARISATION, "hybrid", "hybrid",
                settings={"dropout": 0.0}),
        Variant("hybrid_neither", "hybrid without both", REGULARISATION, "hybrid", "hybrid",
                settings={"l2": 0.0, "dropout": 0.0}),
        Variant("rnn", "RNN at 0.005", model="rnn"),
        *(Variant(f"rnn_{rate:g}", f"RNN at {rate:g}", RATE, "rnn", "rnn",
                  settings={"learning_rate": rate}) for rate in (0.0005, 0.001, 0.02)),
    ]  # fmt: skip


def rare_genres(genres: list[str]) -> list[str]:
    """Genres that are made rare to see what balancing does: the first, and of four the last too."""
    return [genres[0], genres[-1]] if len(genres) > 3 else genres[:1]


def measure(study: Path, variants=plan, *, epochs: int, seed: int = 0) -> None:
    """Train and test every variant, and store its predictions; resumable at the fold.

    A variant with a second copy of each track trains for half as many epochs, so that it takes as
    many steps as its baseline at most: what is measured is variety and not more training.

    Parameters
    ----------
    study : Path
        A study whose notebooks 01 and 02 are done. ``predictions/ablation/LABEL.parquet`` and
        ``.json`` are written.
    variants : callable
        `plan` or `claims`.
    epochs : int
        At most, of each fold of a variant without copies.
    seed : int
    """
    hashes = _inputs(study)
    variants = variants(has_audio=_recipe(study) is not None)
    for number, variant in enumerate(variants, 1):
        key = files.sha256(asdict(variant), epochs, seed, hashes)
        place = _place(study, variant.label)
        if measurements.is_stored(study, GRID, variant.label, key):
            continue
        label = f"[{number}/{len(variants)}] {variant.title}"
        predictions, seconds = _measured(study, variant, label, epochs, seed)
        files.write_table(place.with_suffix(".parquet"), predictions)
        record = {"key": key, "seconds": seconds, "inputs": hashes, "variant": asdict(variant)}
        record["md5"] = files.file_md5(place.with_suffix(".parquet"))
        files.write_json(place, study_results.plain(record))  # last: it says that all is there


def _measured(study, variant, label, epochs, seed):
    """Out-of-fold predictions of a variant, and the seconds of training and testing it."""
    derived = bool(variant.effects) or variant.loudness != "none"
    folder = derive(study, variant, seed) if derived else study
    if variant.model == "svm":
        predictions, runs = classical.predict_folds(classical.Data(folder), "svm")
        seconds = sum(run["seconds"] for run in runs)
    else:
        predictions, seconds = _deep(folder, variant, label, epochs, seed)
    if derived:
        shutil.rmtree(folder)  # the feature cache can give it again
    return predictions, seconds


def _deep(folder, variant, label, epochs, seed):
    from genre_utils.models import cross_validation, hyperparameters, training_data

    folds = pd.read_parquet(folder / "folds.parquet")
    if variant.rare:
        tracks = pd.read_parquet(folder / "tracks.parquet")
        rare = rare_genres(files.read_json(folder / "corpus.json")["genres"])
        folds = splits.thinned(folds, tracks, rare, keep=KEPT, seed=seed)
    data = training_data.load_data(folder, folds)
    if not variant.effects:
        data.keep(data.table["copy"] == 0)
    if variant.sees != ("log_mel",):
        data.show(_seen(folder, data.excerpts, variant.sees))
    settings = replace(hyperparameters.PAPER[variant.model], **variant.settings)
    epochs = max(1, epochs // 2) if variant.effects else epochs
    predictions, run = cross_validation.out_of_fold(
        folder, variant.model, data, settings, epochs=epochs, seed=seed, label=label
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
    index = pd.read_parquet(study / "features.parquet")
    tracks = pd.read_parquet(study / "tracks.parquet").set_index("track_id")
    folder = Path(files.read_json(study / "source.json")["folder"])
    recipe = spectral.Recipe(**_recipe(study))
    index = index[index["copy"] == 0]
    jobs = [(name, folder / tracks.loc[name, "path"], recipe) for name in index["track_id"]]
    found = parallel.over(_chroma_of, jobs, len(jobs), desc="chroma", unit="clip", folder=folder)
    counts = index["frames"] // length
    return np.concatenate(
        [
            frames[: count * length].reshape(count, length, -1)
            for frames, count in zip(found, counts, strict=True)
        ]
    )


def _chroma_of(_, path, recipe):
    """Chroma of each frame of a clip, (frames, 12)."""
    y, sr = audio.load_clip(path, seconds=recipe.clip_seconds, sr=recipe.sr)
    y = audio.normalise_loudness(y, sr, recipe.loudness)
    return spectral.frame_features(y, recipe, ("chroma",))["chroma"].T


def derive(study, variant, seed):
    """Make a folder with the features of a variant: originals, and a changed copy of each if asked.

    Parameters
    ----------
    study : Path
        A study of recordings.
    variant : Variant
        Its effects, p and loudness are used.
    seed : int
        Of the changes.

    Returns
    -------
    Path
        Beside the folds of the study; hundreds of megabytes, to be removed after use.
    """
    folder = study / "folds_done" / f"ablation_{variant.label}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tracks.parquet", "folds.parquet", "corpus.json"):
        shutil.copyfile(study / name, folder / name)
    tracks = pd.read_parquet(study / "tracks.parquet")
    used = tracks[tracks["status"] == "used"].reset_index(drop=True)
    music = Path(files.read_json(study / "source.json")["folder"])
    recipe = spectral.Recipe(**_recipe(study) | {"loudness": variant.loudness})
    change = {}
    if variant.effects:
        change = {"copies": 1, "effects": variant.effects, "p": variant.p}
        change["families"] = ("log_mel",)  # all that a network sees
    store.extract(used, music, folder, recipe, seed=seed, **change)
    return folder


def _recipe(study):
    return files.read_json(study / "features.json")["recipe"]


def _place(study, label):
    return study / "predictions" / GRID / f"{label}.json"


def _inputs(study):
    """Hashes of all that decides a variant's predictions, beside the variant itself."""
    return {
        "features": files.read_json(study / "features.json")["sha256"],
        "folds": _hash_of_folds(study),
        "code": evidence.code("ablation"),
    }


def _hash_of_folds(study):
    return files.sha256(pd.read_parquet(study / "folds.parquet").to_csv(index=False))


def stored(study: Path) -> dict[str, tuple[Variant, pd.DataFrame]]:
    """Variants that were measured on the study's present folds, with their predictions.

    One whose baseline was measured on other features or by other code is left out.

    Raises
    ------
    ValueError
        If predictions are not those of the study's tracks and folds; it names the file.
    """
    genres = files.read_json(study / "corpus.json")["genres"]
    folds, tracks = (pd.read_parquet(study / f"{name}.parquet") for name in ("folds", "tracks"))
    on_these, found = _hash_of_folds(study), {}
    for path in sorted((study / "predictions" / GRID).glob("*.json")):
        measurements.refuse_damage(path)
        record = files.read_json(path)
        baseline = _place(study, record["variant"].get("against") or path.stem)
        alike = baseline.exists() and files.read_json(baseline)["inputs"] == record["inputs"]
        if record["inputs"]["folds"] != on_these or not alike:
            continue
        table = path.with_suffix(".parquet")
        predictions = pd.read_parquet(table)
        try:
            scoring.check_predictions(predictions, folds, tracks, genres)
        except ValueError as error:
            raise ValueError(f"{table}: {error}") from error
        found[path.stem] = Variant(**record["variant"]), predictions
    return found


def compare(study: Path, variants=plan) -> pd.DataFrame:
    """Difference in accuracy of each stored variant from its baseline, on the same tracks.

    Parameters
    ----------
    study : Path
    variants : callable
        `plan` or `claims`.

    Returns
    -------
    pd.DataFrame
        label, question, title, baseline and accuracy (of whole tracks), difference, low, high
        (95 % over artists), p_value (sign-flip test over artists), p_holm (Holm over all rows)
        and verdict: helps, hurts or not separable. Empty if nothing is stored.
    """
    groups = scoring.groups_of(pd.read_parquet(study / "folds.parquet"))
    found, rows = stored(study), []
    correct = pd.DataFrame({label: _correct(table) for label, (_, table) in found.items()})
    order = [variant.label for variant in variants(has_audio=True)]
    for label in [label for label in order if label in found and found[label][0].against in found]:
        variant = found[label][0]
        pair = correct[[label, variant.against]]
        group = pair.index.map(groups)
        low, high = intervals.difference_interval(pair[label], pair[variant.against], group)
        accuracy, baseline = pair.mean()
        p_value = comparisons.sign_flip_test(pair[label], pair[variant.against], group)
        rows.append(
            {
                **{"label": label, "question": variant.question, "title": variant.title},
                **{"baseline": baseline, "accuracy": accuracy, "difference": accuracy - baseline},
                **{"low": low, "high": high, "p_value": p_value},
            }
        )
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    table["p_holm"] = comparisons.holm(table["p_value"])
    separable = table["p_holm"] < 0.05
    direction = np.where(table["difference"] > 0, "helps", "hurts")
    return table.assign(verdict=np.where(separable, direction, "not separable"))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`compare` as a table to be read, differences in points."""
    points = 100 * table[["difference", "low", "high"]]
    readable = table.assign(
        points=[f"{d:+z.0f} [{low:+z.0f}, {high:+z.0f}]" for d, low, high in points.to_numpy()],
        p_holm=table["p_holm"].map(formatting.p_text),
    )
    columns = ["title", "baseline", "accuracy", "points", "p_holm", "verdict"]
    names = {"title": "change", "p_holm": "p (Holm)", "points": "points [95 %]"}
    return readable[columns].rename(columns=names)


def recall_by_rate(study: Path, genre: str) -> pd.DataFrame:
    """Recall of a genre by the RNN at each learning rate of `claims`; empty if none was measured.

    Returns
    -------
    pd.DataFrame
        title, recall, low, high (95 %, `metrics.metric_intervals`), accuracy.
    """
    genres = files.read_json(study / "corpus.json")["genres"]
    groups = scoring.groups_of(pd.read_parquet(study / "folds.parquet"))
    rows = []
    for label, (variant, predictions) in stored(study).items():
        if genre in genres and (label == "rnn" or variant.question == RATE):
            tracks = scoring.track_probabilities(predictions)
            confusions = metrics.group_confusions(tracks, groups, genres)
            whole = metrics.metrics_from_confusion(confusions.sum(axis=0))
            drawn = metrics.metric_intervals(confusions)["genre_recall"]
            k = genres.index(genre)
            low, high = drawn[:, k]
            row = (variant.title, whole["genre_recall"][k], low, high, whole["accuracy"])
            rows.append(row)
    return pd.DataFrame(rows, columns=["training", "recall", "low", "high", "accuracy"])


def _correct(predictions):
    tracks = scoring.track_probabilities(predictions).set_index("track_id")
    return tracks["y_true"] == tracks["y_pred"]


def balance_by_genre(study: Path) -> pd.DataFrame:
    """F1 of every genre where some are rare in training: as they come, weighted, and sampled.

    Returns
    -------
    pd.DataFrame
        genre, rare (bool), title, f1, low, high, and difference, difference_low, difference_high
        from the same network without balancing (paired bootstrap over artists; not corrected for
        the number of genres). Empty if nothing is stored.
    """
    genres = files.read_json(study / "corpus.json")["genres"]
    groups = scoring.groups_of(pd.read_parquet(study / "folds.parquet"))
    found, rows = stored(study), []
    if "rare" not in found:
        return pd.DataFrame()
    before, drawn_before = _f1(found["rare"][1], groups, genres)
    for label in [label for label in ("rare", "rare_weights", "rare_sampling") if label in found]:
        f1, drawn = _f1(found[label][1], groups, genres)
        limits, change = intervals.interval(drawn), intervals.interval(drawn - drawn_before)
        for k, genre in enumerate(genres):
            rows.append(
                {
                    **{"genre": genre, "rare": genre in rare_genres(genres)},
                    **{"title": found[label][0].title.removeprefix("rare genres, ")},
                    **{"f1": f1[k], "low": limits[0, k], "high": limits[1, k]},
                    **{"difference": f1[k] - before[k]},
                    **{"difference_low": change[0, k], "difference_high": change[1, k]},
                }
            )
    return pd.DataFrame(rows).sort_values(["rare"], ascending=False, kind="stable")


def _f1(predictions, groups, genres):
    """F1 of each genre, shape (genres,), and in each bootstrap replicate, (replicates, genres)."""
    tracks = scoring.track_probabilities(predictions)
    confusions = metrics.group_confusions(tracks, groups, genres)
    weights = intervals.bootstrap_weights(len(confusions))
    drawn = np.tensordot(weights, confusions, axes=1)
    whole = metrics.metrics_from_confusion(confusions.sum(axis=0))["genre_f1"]
    return whole, metrics.metrics_from_confusion(drawn, absent=np.nan)["genre_f1"]
