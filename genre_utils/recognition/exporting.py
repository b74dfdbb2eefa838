"""Models in a form that needs no TensorFlow: arrays without pickles, and a sidecar in JSON.

The arrays are a LiteRT network or a logistic regression's, and typical sounds of the corpus.
"""

import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.evaluation import calibration, intervals, reliability, scoring
from genre_utils.features import patches, recipes
from genre_utils.models import classical, pretrained, regression
from genre_utils.recognition import exported_model
from genre_utils.workspace import evidence, files, model_names
from genre_utils.workspace.study_folder import StudyFolder

ALARMS = 0.05  # share of the corpus's own tracks that may be called unlike it
PARTS = (1.0, 3.0, 6.0, 12.0)  # seconds of a track, for which this limit is measured, too
PLACES = (0.0, 0.5, 1.0)  # in a track, of these parts: its beginning, middle and end
CENTRES, TRACKS_PER_CENTRE = 32, 5  # typical sounds: at most so many, each of so many tracks
SAME = 1e-4  # by which probabilities of the exported model may differ from the trained one's
CHECKED = 64  # excerpts on which that is checked

#: Stores whose way from sound to spectrogram is known, and their rows: seconds, frames, mel bands.
STORES: dict[str, dict] = {
    "gtzan_mel80": {"sr": 22_050, "clip_seconds": 30.0, "frames": 387, "n_mels": 128}
}


class ExportError(ValueError):
    """A model cannot be exported; the message says why."""


def obstacle(study: StudyFolder, store_recipe: str = "") -> str:
    """Tell why the models of a study cannot recognise a recording.

    Parameters
    ----------
    study : StudyFolder
        With features, from notebook 02.
    store_recipe : str
        How ready spectrograms were made: a name in `STORES`, empty if it is not known.

    Returns
    -------
    str
        Empty if they can.
    """
    if study.features["recipe"] is not None:
        return ""
    if not store_recipe:
        return "the corpus is one of spectrograms, made in a way not known (STORE_RECIPE)"
    if store_recipe not in STORES:
        return f"STORE_RECIPE is {store_recipe!r}; known are {', '.join(STORES)}"
    known, shape = STORES[store_recipe], study.log_mel.shape[1:]
    if shape != (known["frames"], known["n_mels"]):
        return f"its spectrograms are of shape {shape}, which is not what {store_recipe} makes"
    return ""


def exportable(study: StudyFolder) -> list[str]:
    """List the finished models of a study that can be exported, in the order of the study.

    Parameters
    ----------
    study : StudyFolder
        With predictions of at least one model.

    Returns
    -------
    list of str
        Names of models.
    """
    names = study.require_models()
    return [n for n in names if n in model_names.EXPORTED or study.model(n, ".keras").exists()]


def export_model(study: StudyFolder, name: str, *, store_recipe: str = "") -> Path:
    """Write a model of a study, fitted to all tracks, in a form that needs no TensorFlow.

    Parameters
    ----------
    study : StudyFolder
        With predictions of the model, out of fold, and the network that was fitted to all tracks.
    name : str
        A model of `exportable`.
    store_recipe : str
        See `obstacle`.

    Returns
    -------
    Path
        ``models/NAME.npz``; the sidecar is beside it. Nothing is done if both are up to date.

    Raises
    ------
    ExportError
        If the recipe or model is unknown, or the exported one gives other probabilities.
    """
    if why := obstacle(study, store_recipe):
        raise ExportError(f"{name} cannot be exported: {why}.")
    known = exportable(study)
    if name not in known:
        raise ExportError(f"{name} cannot be exported; of this study can: {', '.join(known)}.")
    path = study.model(name, ".npz")
    beside = exported_model.sidecar_path(path)
    about = described(study, name, recipe(study, name, store_recipe))
    if path.exists() and beside.exists():
        stored, now = files.read_json(beside), exported_model.file_sha256(path)
        if (stored["made_of"], stored["sha256"]) == (about["made_of"], now):
            return path
    arrays = _matrix(study, name) if name in model_names.EXPORTED else _network(study, name)
    write(path, arrays | mel_bank(store_recipe), about, study)
    return path


def write(path: Path, arrays: dict, about: dict, study: StudyFolder) -> None:
    """Write a model, the typical sounds of a study with it, and its sidecar."""
    sounds, unlike = _typical_sounds(study, about["recipe"])
    arrays = {
        key: values.astype(np.float32) if values.dtype.kind == "f" else values
        for key, values in (arrays | sounds).items()
    }
    with files.atomic_write(path) as temporary:
        np.savez_compressed(temporary, **arrays)
    about = about | {"unlike": unlike, "sha256": exported_model.file_sha256(path)}
    files.write_json(exported_model.sidecar_path(path), files.plain(about))


def described(study: StudyFolder, name: str, recipe: dict) -> dict:
    """Everything the sidecar says that needs no fitting of arrays."""
    corpus, run = study.corpus, study.run(name)
    kind = "logistic" if name in model_names.EXPORTED else "litert"
    versions = run["versions"] | {"librosa": version("librosa")}
    if kind == "litert" or "embedding" in recipe["reads"]:
        versions["ai-edge-litert"] = version("ai-edge-litert")
    content = {
        "format": exported_model.FORMAT,
        "model": name,
        "kind": kind,
        "labels": corpus["genres"],
        "recipe": recipe,
        "corpus": {k: corpus[k] for k in ("name", "synthetic", "tracks", "artists", "sha256")},
        **_trust(study, name),
        "hyperparameters": run["hyperparameters"],
        "hashes": run["hashes"],
        "versions": versions,
    }
    if corpus["name"] in ("spectrograms", "store"):
        content["corpus"]["name"] = recipe["kind"]
    trained = files.read_json(study.model(name, ".json"))["sha256"] if kind == "litert" else ""
    return content | {"made_of": files.sha256(content, trained, evidence.code("exported model"))}


def recipe(study: StudyFolder, name: str, store_recipe: str) -> dict:
    """How a model's input comes from sound: the `recipes.Recipe` of a study, or one of `STORES`."""
    features = study.features
    if name in model_names.EXPORTED:
        reads = model_names.EXPORTED[name]
    else:
        from genre_utils.models import architectures  # TensorFlow

        reads = architectures.reads(name)
    if features["recipe"] is not None:
        found = {"kind": "study"} | features["recipe"]
    else:
        found = {"kind": store_recipe} | STORES[store_recipe]
        found["excerpt_seconds"] = features["excerpt_seconds"]
    if "embedding" in reads:
        found = {"loudness": "rms"} | found | {"musicnn": patches.network_sha256()}
    rate = features["frames_per_second"]
    return found | {
        "frames_per_second": rate,
        "excerpt_frames": recipes.excerpt_frames(found["excerpt_seconds"], rate),
        "reads": list(reads),
        "families": features["families"] if "features" in reads else ["log_mel"],
    }


def _trust(study, name):
    """Accuracy, temperature and the confidence to abstain below, from predictions out of fold."""
    predictions = study.predictions(name)
    scoring.check_table(predictions, study.genres)
    tracks = scoring.track_probabilities(predictions)
    groups = tracks["track_id"].map(study.groups)
    right = (tracks["y_true"] == tracks["y_pred"]).to_numpy()
    p, true = scoring.probabilities(tracks)
    temperature = calibration.temperature(p, true)
    confidence = calibration.apply_temperature(p, temperature).max(axis=1)
    at = reliability.selective(confidence, right, groups)["at"]
    threshold = np.sort(confidence)[::-1][: at["tracks"]].min()
    accuracy = {
        "value": right.mean(),
        "ci95": intervals.accuracy_interval(right, groups).tolist(),
        "tracks": len(tracks),
        "artists": int(groups.nunique()),
        "per_genre": {g: right[tracks["y_true"] == g].mean() for g in study.genres},
        "what": "whole tracks by artists that the model had not met (cross-validation)",
    }
    sure = {"below": threshold} | {key: at[key] for key in ("coverage", "accuracy", "ci95")}
    return {"accuracy": accuracy, "temperature": temperature, "abstain": sure}


def _matrix(study, name):
    """Regression on all tracks, as the arrays of `regression.probabilities`."""
    if name == "logistic":
        data = classical.Data(study)
        settings = classical.HYPERPARAMETERS[name]
        arrays = regression.fit([data.x.to_numpy()], data.genre, data.genres, **settings)
    else:
        heard = pretrained.Data(study)
        arrays, _ = pretrained.fit(heard, name, np.arange(len(heard.table)))
    return arrays


def _network(study, name):
    """The trained network as LiteRT, in bytes, whose predictions have been compared."""
    import keras

    from genre_utils.models import training_data

    path, beside = study.model(name, ".keras"), study.model(name, ".json")
    if files.sha256(path.read_bytes()) != files.read_json(beside)["sha256"]:
        raise ExportError(f"{path} is not the model that its sidecar describes: train it again.")
    keras.backend.clear_session()
    model = keras.models.load_model(path, compile=False, safe_mode=True)
    content = _litert_bytes(model)
    data = training_data.load_data(study)
    rows = np.unique(np.linspace(0, len(data.table) - 1, CHECKED).astype(int))
    x = data.inputs(name, rows)
    trained = model(x, training=False).numpy()  # not compiled: for one batch that takes longer
    parts = x if isinstance(x, dict) else {model.input.name: x}
    _refuse_difference(name, exported_model.litert_runner(content)(parts), trained)
    return {"litert": np.frombuffer(content, np.uint8)}


def _litert_bytes(model):
    """A Keras model as LiteRT for one excerpt: free batches of recurrent layers need TensorFlow."""
    import keras
    import tensorflow as tf

    def fixed(tensor):
        return keras.InputSpec(shape=(1, *tensor.shape[1:]), dtype="float32", name=tensor.name)

    given = model.input
    signature = {k: fixed(v) for k, v in given.items()} if isinstance(given, dict) else fixed(given)
    tf.get_logger().setLevel("WARNING")  # in a notebook it would print the names of such folders
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


def mel_bank(store_recipe: str) -> dict[str, np.ndarray]:
    """Weights of each frequency in each mel band, so that recognition needs no librosa for them."""
    if not store_recipe:
        return {}
    import librosa  # slow to load

    known = STORES[store_recipe]
    bank = librosa.filters.mel(sr=known["sr"], n_fft=2048, n_mels=known["n_mels"])
    return {"mel_bank": bank.astype(np.float32)}


def _typical_sounds(study, recipe):
    """Centres of clusters of all tracks, and the distance that few tracks out of fold exceed.

    And the distances that few parts of tracks do: the shorter these, the more they differ.
    """
    clip, rate = recipe["clip_seconds"], recipe["frames_per_second"]
    whole = _statistics(study)
    frames = {seconds: round(seconds * rate) for seconds in PARTS if seconds < clip}
    tables = {s: pd.concat(_statistics(study, n, at) for at in PLACES) for s, n in frames.items()}
    apart = []
    for fold, own in study.folds.groupby("fold"):
        part = own.set_index("track_id")["part"]
        train, test = (part.index[keep] for keep in (part != "test", part == "test"))
        sounds = _clustered(whole.loc[train].to_numpy())
        for seconds, table in (tables | {clip: whole}).items():
            values = exported_model.typical_distance(sounds, table.loc[test].to_numpy())
            apart.append(pd.DataFrame({"fold": fold, "seconds": seconds, "distance": values}))
    limits = {
        seconds: {"above": _limit(own["distance"]), "false_alarms": _false_alarms(own)}
        for seconds, own in pd.concat(apart, ignore_index=True).groupby("seconds")
    }
    return _clustered(whole.to_numpy()), {
        "method": "distance of the spectrum's statistics from the nearest of the typical sounds",
        **limits.pop(clip),
        "tracks": int((study.folds["part"] == "test").sum()),
        "shorter": [{"seconds": seconds} | limit for seconds, limit in limits.items()],
    }


def _statistics(study, frames=None, place=0.0):
    """Statistics of the spectrum of each clip, or of a part of it (see `_part`), by track_id."""
    index, log_mel = study.excerpts.reset_index(drop=True), study.log_mel
    index = index[index["copy"] == 0]
    clips = (log_mel[row][:length] for row, length in index["frames"].items())
    if frames:
        clips = (_part(clip, frames, place) for clip in clips)
    found = np.stack([*map(exported_model.spectrum_statistics, clips)])
    return pd.DataFrame(found, index=index["track_id"])


def _part(clip, frames, place):
    """Some frames of a log-mel spectrogram, from its beginning (0) to its end (1).

    They are as those of a recording that is no longer: its loudest point is 1.
    """
    start = round(place * max(0, len(clip) - frames))
    part = clip[start : start + frames].astype(np.float32)
    return np.maximum(part + (1 - part.max()), 0)


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
    return {"typical_mean": mean, "typical_scale": scale, "typical": centres}
