"""Models in a form that needs no TensorFlow: what `recognition` loads, and a description beside it.

An exported model is one ``.npz`` file without pickles: a LiteRT network, or the matrix of a
logistic regression, and typical sounds of the corpus, so that others can be told from them. A
sidecar, ``.npz.json``, says what it is, what it was trained on and how far it can be trusted.

LiteRT was chosen over ONNX by measurement. ``model.export(format="onnx")`` leaves the statistics of
the normalisation layer as inputs without a value (tf2onnx 1.17 with Keras 3.15), so that the first
model that was tried, the cnn, did not run. LiteRT gives the same probabilities, loads in 10 ms, and
its wheel (22 MB, Python 3.11 to 3.13) is smaller than ONNX Runtime's (28 MB). The batch is fixed
to one excerpt: with a free one the recurrent layers would need TensorFlow's own operations.
"""

import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.evaluation import calibration, intervals, scoring, study_results
from genre_utils.features import spectral
from genre_utils.models import classical
from genre_utils.recognition import exported_model, listening
from genre_utils.workspace import evidence, files

ANSWERED = calibration.COVERAGE  # share of the tracks whose answers count as sure
ALARMS = 0.05  # share of the corpus's own tracks that may be called unlike it
CENTRES, TRACKS_PER_CENTRE = 32, 5  # typical sounds: at most so many, each of so many tracks
SAME = 1e-4  # by which probabilities of the exported model may differ from the trained one's
CHECKED = 64  # excerpts on which that is checked
CLASSICAL = ("logistic",)  # classical models that can be exported

#: Stores whose way from sound to spectrogram is known, and their rows: seconds, frames, mel bands.
STORES = {"gtzan_mel": {"sr": 22_050, "clip_seconds": 30.0, "frames": 334, "n_mels": 128}}


class ExportError(ValueError):
    """A model cannot be exported; the message says why."""


def obstacle(study: Path, store_recipe: str = "") -> str:
    """Why the models of a study cannot recognise a recording; empty if they can.

    Parameters
    ----------
    study : Path
    store_recipe : str
        How a store of ready spectrograms was made: a name in `STORES`, empty if it is not known.
    """
    if files.read_json(study / "features.json")["recipe"] is not None:
        return ""
    if not store_recipe:
        return (
            "the corpus is a store of spectrograms, and how they were made from sound is not "
            "known (STORE_RECIPE)"
        )
    if store_recipe not in STORES:
        return f"STORE_RECIPE is {store_recipe!r}; known are {', '.join(STORES)}"
    known = STORES[store_recipe]
    shape = np.load(study / "features.npy", mmap_mode="r").shape[1:]
    if shape != (known["frames"], known["n_mels"]):
        return f"its spectrograms are of shape {shape}, which is not what {store_recipe} makes"
    return ""


def exportable(study: Path) -> list[str]:
    """Finished models of a study that can be exported, in the order of the study."""
    trained = {path.stem for path in (study / "models").glob("*.keras")}
    return [n for n in study_results.finished_models(study) if n in trained or n in CLASSICAL]


def export_model(study: Path, name: str, *, store_recipe: str = "") -> Path:
    """Write a model of a study, fitted to all tracks, in a form that needs no TensorFlow.

    Parameters
    ----------
    study : Path
        Holds ``predictions/NAME.parquet``, out of fold, and ``models/NAME.keras`` (from
        `cross_validation.fit_final`), which ``logistic`` does not need: it is fitted here.
    name : str
    store_recipe : str
        See `obstacle`.

    Returns
    -------
    Path
        ``models/NAME.npz``; ``models/NAME.npz.json`` beside it is the sidecar. If they are there
        and made of the same, nothing is done.

    Raises
    ------
    ExportError
        If the recipe is unknown, the model is missing or has changed, or the exported one
        gives other probabilities.
    """
    if why := obstacle(study, store_recipe):
        raise ExportError(f"{name} cannot be exported: {why}.")
    if name not in exportable(study):
        raise ExportError(
            f"{name} cannot be exported: it is no finished network of this study, nor one of "
            f"{', '.join(CLASSICAL)}."
        )
    path = study / "models" / f"{name}.npz"
    described = _described(study, name, store_recipe)
    beside = exported_model.sidecar_path(path)
    if path.exists() and beside.exists():
        stored = files.read_json(beside)
        if stored["made_of"] == described["made_of"] and stored[
            "sha256"
        ] == exported_model.file_sha256(path):
            return path
    arrays = _matrix(study) if name in CLASSICAL else _network(study, name)
    sounds, unlike = _typical_sounds(study)
    with files.atomic_write(path) as temporary:
        np.savez_compressed(temporary, **arrays, **sounds, **_bank(store_recipe))
    described |= {"unlike": unlike, "sha256": exported_model.file_sha256(path)}
    files.write_json(beside, study_results.plain(described))
    return path


# ---------------------------------------------------------------------------- what it is


def _described(study, name, store_recipe):
    """Everything the sidecar says that needs no fitting of arrays."""
    corpus = files.read_json(study / "corpus.json")
    run = files.read_json(study / "runs" / f"{name}.json")
    content = {
        "format": exported_model.FORMAT,
        "model": name,
        "kind": "logistic" if name in CLASSICAL else "litert",
        "labels": corpus["genres"],
        "recipe": recipe_of(study, name, store_recipe),
        "corpus": {k: corpus[k] for k in ("name", "synthetic", "tracks", "artists", "sha256")}
        | ({"name": store_recipe} if corpus["name"] == "store" else {}),
        **_trust(study, name, corpus["genres"]),
        "hyperparameters": run["hyperparameters"],
        "hashes": run["hashes"],
        "versions": run["versions"] | {"librosa": version("librosa")},
    }
    if content["kind"] == "litert":
        content["versions"]["ai-edge-litert"] = version("ai-edge-litert")
    trained = study / "models" / f"{name}.json"
    of = files.read_json(trained)["sha256"] if name not in CLASSICAL else ""
    return content | {"made_of": files.sha256(content, of, evidence.code("exported model"))}


def recipe_of(study: Path, name: str, store_recipe: str = "") -> dict:
    """How a model's input comes from sound, as its sidecar keeps it.

    Returns
    -------
    dict
        kind (``study``: the other keys are those of `spectral.Recipe`; or one of `STORES`),
        excerpt_frames, reads (inputs of the model) and families (of its handcrafted features).
    """
    described = files.read_json(study / "features.json")
    if name in CLASSICAL:
        reads = ("features",)
    else:
        from genre_utils.models import architectures

        reads = architectures.reads(name)
    if described["recipe"] is not None:
        recipe = {"kind": "study"} | described["recipe"]
        seconds = recipe["excerpt_seconds"]
    else:
        recipe = {"kind": store_recipe} | STORES[store_recipe]
        seconds = recipe["excerpt_seconds"] = described["excerpt_seconds"]
    rate = described["frames_per_second"]
    return recipe | {
        "frames_per_second": rate,
        "excerpt_frames": spectral.excerpt_frames(seconds, rate),
        "reads": list(reads),
        "families": described["families"] if "features" in reads else ["log_mel"],
    }


def _trust(study, name, genres):
    """Accuracy, temperature and the confidence to abstain below, from predictions out of fold."""
    folds = pd.read_parquet(study / "folds.parquet")
    predictions = pd.read_parquet(study / "predictions" / f"{name}.parquet")
    scoring.check_table(predictions, genres)
    tracks = scoring.track_probabilities(predictions)
    groups = tracks["track_id"].map(scoring.groups_of(folds))
    right = (tracks["y_true"] == tracks["y_pred"]).to_numpy()
    temperature = calibration.temperature(tracks)
    confidence = calibration.apply_temperature(tracks, temperature).max(axis=1).to_numpy()
    at = calibration.selective(confidence, right, groups)["at"]
    threshold = np.sort(confidence)[::-1][: at["tracks"]].min()
    return {
        "accuracy": {
            "value": right.mean(),
            "ci95": intervals.accuracy_interval(right, groups).tolist(),
            "tracks": len(tracks),
            "artists": int(groups.nunique()),
            "per_genre": {g: right[tracks["y_true"] == g].mean() for g in genres},
            "what": "whole tracks by artists that the model had not met (cross-validation)",
        },
        "temperature": temperature,
        "abstain": {
            "below": threshold,
            **{key: at[key] for key in ("coverage", "accuracy", "ci95")},
        },
    }


# ---------------------------------------------------------------------------- the model


def _matrix(study):
    """Logistic regression on all tracks, as the arrays of `exported_model.logistic`."""
    data = classical.Data(study)
    x = data.x.to_numpy()
    fitted = classical.estimator("logistic").fit(x, data.y)
    scaler, regression = fitted[0], fitted[1]
    weights, bias = regression.coef_.T, regression.intercept_
    if weights.shape[1] == 1:  # two genres: one column, for the second of them
        weights, bias = np.hstack([0 * weights, weights]), np.append(0, bias)
    order = [list(regression.classes_).index(genre) for genre in data.genres]
    arrays = {"mean": scaler.mean_, "scale": scaler.scale_}
    arrays |= {"weights": weights[:, order], "bias": bias[order]}
    arrays = {key: values.astype(np.float32) for key, values in arrays.items()}
    _refuse_difference(
        "logistic", exported_model.logistic(arrays, x), fitted.predict_proba(x)[:, order]
    )
    return arrays


def _network(study, name):
    """The trained network as LiteRT, in bytes, whose answers have been compared."""
    import keras

    from genre_utils.models import training_data

    path = study / "models" / f"{name}.keras"
    if files.sha256(path.read_bytes()) != files.read_json(path.with_suffix(".json"))["sha256"]:
        raise ExportError(f"{path} is not the model that its sidecar describes: train it again.")
    keras.backend.clear_session()
    model = keras.models.load_model(path, compile=False, safe_mode=True)
    content = litert_bytes(model)
    data = training_data.load_data(study)
    rows = np.unique(np.linspace(0, len(data.table) - 1, CHECKED).astype(int))
    x = data.inputs(name, rows)
    trained = model(x, training=False).numpy()  # not compiled: for one batch that takes longer
    parts = x if isinstance(x, dict) else {model.input.name: x}
    _refuse_difference(name, exported_model.litert_runner(content)(parts), trained)
    return {"litert": np.frombuffer(content, np.uint8)}


def litert_bytes(model) -> bytes:
    """Convert a Keras model to LiteRT, for one excerpt at a time.

    Parameters
    ----------
    model : keras.Model
        With one input, or a dict of them.
    """
    import keras

    def fixed(tensor):
        return keras.InputSpec(shape=(1, *tensor.shape[1:]), dtype="float32", name=tensor.name)

    given = model.input
    signature = {k: fixed(v) for k, v in given.items()} if isinstance(given, dict) else fixed(given)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        model.export(path, format="litert", verbose=False, input_signature=[signature])
        return path.read_bytes()


def _refuse_difference(name, exported, trained):
    difference = float(np.abs(exported - trained).max())
    if not difference <= SAME:
        raise ExportError(
            f"{name}: the exported model differs from the trained one by {difference:.1e} in its "
            f"probabilities; at most {SAME:.0e} is allowed."
        )


def _bank(store_recipe):
    """Weights of each frequency in each mel band, so that recognition needs no librosa for them."""
    if not store_recipe:
        return {}
    import librosa

    recipe = STORES[store_recipe]
    bank = librosa.filters.mel(sr=recipe["sr"], n_fft=2048, n_mels=recipe["n_mels"])
    return {"mel_bank": bank.astype(np.float32)}


# ---------------------------------------------------------------------------- what it is like


def _typical_sounds(study):
    """Centres of clusters of all tracks, and the distance that few tracks out of fold exceed."""
    index = pd.read_parquet(study / "features.parquet").reset_index(drop=True)
    index = index[index["copy"] == 0]
    images = np.load(study / "features.npy", mmap_mode="r")
    found = [listening.spectrum_statistics(images[row][:n]) for row, n in index["frames"].items()]
    export_table = pd.DataFrame(np.stack(found), index=index["track_id"])
    folds = pd.read_parquet(study / "folds.parquet")
    apart = []
    for fold, own in folds.groupby("fold"):
        part = own.set_index("track_id")["part"]
        train, test = (
            export_table.loc[part.index[keep]] for keep in (part != "test", part == "test")
        )
        values = listening.distance(_clustered(train.to_numpy()), test.to_numpy())
        apart.append(pd.DataFrame({"fold": fold, "distance": values}))
    apart = pd.concat(apart, ignore_index=True)
    description = {
        "method": "distance of the spectrum's statistics from the nearest of the typical sounds",
        "above": _limit(apart["distance"]),
        "false_alarms": _false_alarms(apart),
        "tracks": len(apart),
    }
    return _clustered(export_table.to_numpy()), description


def _limit(distances):
    return float(np.quantile(distances, 1 - ALARMS))


def _false_alarms(apart):
    """Share of tracks beyond a limit that was taken from the other folds alone."""
    if apart["fold"].max() == 0:
        return float((apart["distance"] > _limit(apart["distance"])).mean())
    alarms = [
        own["distance"] > _limit(apart.loc[apart["fold"] != fold, "distance"])
        for fold, own in apart.groupby("fold")
    ]
    return float(pd.concat(alarms).mean())


def _clustered(statistics):
    """Standardise clips, and take the centres of clusters (k-means) for typical sounds."""
    from sklearn.cluster import KMeans

    mean, scale = statistics.mean(axis=0), statistics.std(axis=0) + 1e-6
    standard = (statistics - mean) / scale
    count = int(np.clip(len(standard) // TRACKS_PER_CENTRE, 1, CENTRES))
    centres = KMeans(count, n_init=3, random_state=0).fit(standard).cluster_centers_
    arrays = {"typical_mean": mean, "typical_scale": scale, "typical": centres}
    return {key: values.astype(np.float32) for key, values in arrays.items()}


def export_table(models: dict) -> pd.DataFrame:
    """What exported models say of themselves, one row each.

    Parameters
    ----------
    models : dict of str to recognition.MusicStyleRecognition

    Returns
    -------
    pd.DataFrame
        model, trained on, kB, accuracy, 95 % interval (over artists), unsure below (confidence),
        when sure (accuracy), false alarms (share of its own tracks called unlike them).
    """
    rows = []
    for name, one in models.items():
        about, size = one.classifier.about, one.classifier.path.stat().st_size
        low, high = about["accuracy"]["ci95"]
        row = {"model": name, "trained on": about["corpus"]["name"], "kB": size / 1000}
        row |= {"accuracy": about["accuracy"]["value"], "95 % interval": f"{low:.2f} to {high:.2f}"}
        row |= {
            "unsure below": about["abstain"]["below"],
            "when sure": about["abstain"]["accuracy"],
        }
        rows.append(row | {"false alarms": about["unlike"]["false_alarms"]})
    return pd.DataFrame(rows)
