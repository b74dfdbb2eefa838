"""Models on what musicnn hears: a regression, alone or with features, and its own last layers."""

import time
from importlib.metadata import version

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from genre_utils.data import splits
from genre_utils.features import patches, recipes
from genre_utils.models import classical, regression, study_data
from genre_utils.workspace import evidence, files, model_names
from genre_utils.workspace.study_folder import StudyFolder

#: Of these, each fold chooses by inner folds of what it learns from. The weight is that of the
#: handcrafted features, whose columns are many, beside the embedding.
CANDIDATES: dict[str, list[dict]] = {
    "pretrained": [{"C": c} for c in (0.01, 0.03, 0.1)],
    "pretrained_fusion": [{"C": 0.03, "weight": w} for w in (0.1, 0.3, 1.0)],
}
TUNED = "pretrained_tuned"  # which starts from the checkpoint of musicnn
#: Found by cross-validation on the ``train`` part of gtzan_excerpts, where all choices were alike.
TUNING = {"learning_rate": 0.001, "batch_size": 32, "epochs": 20, "dropout": 0.5,
          "label_smoothing": 0.1, "weight_decay": 0.01}  # fmt: skip


class Data(classical.Data):
    """What musicnn heard in a study beside its feature statistics `x`, and its folds.

    `patches` says what the rows of `study.embedded` are of, and `hears`, sparse (rows, patches),
    how much of each is in an excerpt; `embedding`, (rows, 200), is the mean by it.
    """

    def __init__(self, study: StudyFolder, folds: pd.DataFrame | None = None):
        super().__init__(study, folds)
        self.patches = study.embeddings
        rate, seconds = (
            study.features["frames_per_second"],
            study.features["recipe"]["excerpt_seconds"],
        )
        self.hears = _hears(self.table, self.patches, recipes.excerpt_frames(seconds, rate) / rate)
        self.embedding = self.hears @ np.asarray(study.embedded[:, patches.POOLED :])
        self.hashes["embeddings"] = files.sha256(self.patches.to_csv(index=False))
        self.hashes["code"] = evidence.code("pretrained")


def _hears(table, heard, seconds):
    """Share of each patch in each excerpt (see `patches.shares`)."""
    excerpts, own = (one.groupby("track_id").indices for one in (table, heard))
    if missing := excerpts.keys() - own.keys():
        raise ValueError(f"musicnn has not heard {min(missing)!r}: run notebook 05 again.")
    found = sparse.lil_array((len(table), len(heard)))
    for track, rows in excerpts.items():
        share = patches.shares(len(rows), seconds, heard["start"].to_numpy()[own[track]])
        found[np.ix_(rows, own[track])] = share
    return found.tocsr()


def choose_pretrained(study: StudyFolder, wanted) -> list[str]:
    """Choose those of some models that are pretrained and can be trained here.

    Parameters
    ----------
    study : StudyFolder
        A study whose features were extracted; one of spectrograms has no sound to listen to.
    wanted : collection of str
        Models.

    Returns
    -------
    list of str
        Without ``pretrained_tuned`` where the checkpoint of musicnn is not installed: how to do
        that is printed.
    """
    if study.features["recipe"] is None:
        return []
    names = [name for name in model_names.PRETRAINED if name in wanted]
    if TUNED in names and not patches.installed():
        print(f"{TUNED} is left out. {patches.MISSING}")
        names.remove(TUNED)
    return names


def predict_folds(data: Data, name: str, seed: int = 0) -> tuple[pd.DataFrame, list[dict]]:
    """Predictions and runs of a model on every fold; refuses what met a test track."""
    tables, runs = [], []
    for fold in data.fold_numbers:
        train, test = data.rows(fold)
        ids = data.table["track_id"].to_numpy()[train]
        splits.refuse_leakage(data.folds, fold, weights=ids, settings=ids)
        start = time.process_time()
        with threadpool_limits(1):
            if name in CANDIDATES:
                p, about = _regression(data, name, train, test)
            else:
                p, about = _tuned(data, train, test, seed * 1000 + fold)
        seconds = time.process_time() - start
        runs.append({"fold": fold, "seconds": seconds, "cpu_seconds": seconds} | about)
        tables.append(data.predicted(test, fold, p))
    return pd.concat(tables, ignore_index=True), runs


def _regression(data, name, train, test):
    """Logistic regression by the settings that suit inner folds best: probabilities, and which."""
    arrays, about = fit(data, name, train)
    return regression.probabilities(arrays, np.hstack(_blocks(data, name, test))), about


def fit(data: Data, name: str, rows: np.ndarray) -> tuple[regression.Arrays, dict]:
    """Fit a regression to rows, with settings chosen by inner folds of them; and how it chose."""
    y, losses = data.genre, []
    inner = [
        (rows[rest], rows[part]) for rest, part in classical.inner_parts(y[rows], data.group[rows])
    ]
    true = pd.Index(data.genres).get_indexer(y[np.concatenate([held for _, held in inner])])
    for settings in CANDIDATES[name]:
        fitted = [_fitted(data, name, rest, settings) for rest, _ in inner]
        found = [
            regression.probabilities(arrays, np.hstack(_blocks(data, name, held)))
            for arrays, (_, held) in zip(fitted, inner, strict=True)
        ]
        losses.append(log_loss(true, np.concatenate(found), labels=range(len(data.genres))))
    chosen = CANDIDATES[name][int(np.argmin(losses))]
    return _fitted(data, name, rows, chosen), {"chosen": chosen, "inner_loss": losses}


def _fitted(data, name, rows, settings):
    weights = [settings.get("weight", 1.0), 1.0][-len(_blocks(data, name, rows)) :]
    of = data.genre[rows], data.genres
    return regression.fit(_blocks(data, name, rows), *of, C=settings["C"], weights=weights)


def _blocks(data, name, rows):
    """What a model reads of rows: handcrafted features, if it does, and the embedding."""
    features = [data.x.to_numpy()[rows]] if name == "pretrained_fusion" else []
    return [*features, data.embedding[rows]]


def _tuned(data, train, test, seed):
    """Train the last layers of musicnn on, from what they know: probabilities, and the history."""
    of, pooled = data.patches["track_id"], data.study.embedded[:, : patches.POOLED]
    learned, tested = (
        np.flatnonzero(of.isin(data.table["track_id"].iloc[rows])) for rows in (train, test)
    )
    numbers = of.map(data.study.genre_of).map(data.genres.index)
    labels = np.eye(len(data.genres), dtype=np.float32)[numbers]
    model = last_layers(len(data.genres), len(learned), seed)
    options = {"batch_size": TUNING["batch_size"], "epochs": TUNING["epochs"], "verbose": 0}
    losses = model.fit(pooled[learned], labels[learned], **options).history["loss"]
    p = model.predict(pooled[tested], batch_size=256, verbose=0).astype(float)
    about = {"parameters": model.count_params(), "epochs": len(losses), "losses": losses}
    return data.hears[test][:, tested] @ p, about


def last_layers(genres: int, rows: int, seed: int):
    """From pooled values to genres: musicnn's last layers as they are, and a new output."""
    import keras
    import tensorflow as tf

    from genre_utils.models import musicnn

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    pooled = keras.Input((patches.POOLED,), name="pooled")
    x = musicnn.back_end(pooled, TUNING["dropout"])
    output = keras.layers.Dense(genres, activation="softmax", name="genres")(x)
    model = keras.Model(pooled, output, name=TUNED)
    musicnn.read_weights(model)
    steps = TUNING["epochs"] * -(-rows // TUNING["batch_size"])
    rate = keras.optimizers.schedules.CosineDecay(TUNING["learning_rate"], steps)
    adamw = keras.optimizers.AdamW(rate, weight_decay=TUNING["weight_decay"], clipnorm=1.0)
    smoothing = TUNING["label_smoothing"]
    model.compile(adamw, keras.losses.CategoricalCrossentropy(label_smoothing=smoothing))
    return model


def cross_validate_pretrained(
    study: StudyFolder, name: str, *, seed: int = 0
) -> tuple[pd.DataFrame, dict]:
    """Train and test a model on what musicnn heard, on every fold, and store what came out.

    Parameters
    ----------
    study : StudyFolder
        A study that musicnn has listened to (see `embed_tracks`).
    name : {"pretrained", "pretrained_fusion", "pretrained_tuned"}
        Logistic regression on the embedding, or on that and handcrafted features; or the last
        layers of the network, trained on.
    seed : int
        Decides order, dropout and initial output weights of the last.

    Returns
    -------
    tuple of pd.DataFrame and dict
        What ``predictions/NAME.parquet`` and ``runs/NAME.json`` hold.
    """
    data = Data(study)
    predictions, runs = predict_folds(data, name, seed)
    used = ("keras", "musicnn", "numpy") if name == TUNED else ("scikit-learn", "numpy")
    run = {
        "model": name,
        "seed": seed,
        "hyperparameters": {"candidates": CANDIDATES[name]} if name in CANDIDATES else TUNING,
        "parameters": runs[0].get("parameters"),
        "epochs": runs[0].get("epochs"),
        "training_seconds": sum(run["seconds"] for run in runs),
        "training_cpu_seconds": sum(run["cpu_seconds"] for run in runs),
        "folds": runs,
        "versions": {one: version(one) for one in used},
        "hashes": data.hashes,
    }
    return study_data.store(study, predictions, run)
