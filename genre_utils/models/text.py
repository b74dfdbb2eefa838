"""What tracks are called, as text: words and parts of words, alone and beside the sound."""

import time
from importlib.metadata import version

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from threadpoolctl import threadpool_limits

from genre_utils.data import artists, splits
from genre_utils.models import classical, regression, study_data
from genre_utils.workspace import evidence, files, model_names
from genre_utils.workspace.study_folder import StudyFolder

C = 1.0  # found on the ``train`` part of GTZAN's ten genres, where all choices were alike
WORDS, LETTERS = (1, 2), (2, 5)  # that stand together: shortest and longest
AUDIO = "logistic"  # whose probabilities are mixed with those of the text
WEIGHTS = np.linspace(0.0, 2.0, 21)  # of the text in the mixture
LEAST = 1e-9  # share that enters a logarithm


class Data(classical.Data):
    """Feature statistics `x` of a study, its folds, and the `text` of the track of each row."""

    def __init__(self, study: StudyFolder, folds: pd.DataFrame | None = None):
        super().__init__(study, folds)
        self.text = self.table["track_id"].map(texts(study.tracks)).to_numpy(dtype=object)
        self.hashes |= {"text": files.sha256(list(self.text)), "code": evidence.code("text")}

    def one_each(self, rows: np.ndarray) -> np.ndarray:
        """The first of some rows of each track."""
        return rows[~self.table["track_id"].iloc[rows].duplicated().to_numpy()]


def texts(tracks: pd.DataFrame) -> pd.Series:
    """Title and album of each track_id, without the names of its artist; empty for none.

    An artist's name tells the genre by who plays, which is what splits keep apart. Where the artist
    is not known, no name can be taken out: the text is empty, too.
    """
    columns = ["track_id", "artist", "title", "album"]
    known = tracks.reindex(columns=columns, fill_value="").fillna("").set_index("track_id")
    called = (known["title"] + " " + known["album"]).mask(artists.is_unknown(known["artist"]), "")
    found = called.combine(known["artist"], artists.without_names).astype(str)
    return found.where(found.str.contains(r"\w"), "")


def choose_text(study: StudyFolder, wanted) -> list[str]:
    """Choose those of some models that read text and can be trained here.

    Parameters
    ----------
    study : StudyFolder
        Its tracks and folds are read.
    wanted : collection of str
        Models.

    Returns
    -------
    list of str
        None of them where fewer than two genres have titles.
    """
    known = texts(study.tracks)[study.groups.index]
    genres = study.genre_of[known.index[known != ""]].nunique()
    return [name for name in model_names.TEXT if name in wanted and genres > 1]


def fit(text: np.ndarray, y: np.ndarray) -> Pipeline | None:
    """Vocabulary and regression of the texts that are not empty; None if they are of one genre."""
    told = text != ""
    if len(set(y[told])) < 2:
        return None
    words = TfidfVectorizer(ngram_range=WORDS, token_pattern=r"\w+(?:['’]\w+)?")
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=LETTERS)
    model = make_pipeline(make_union(words, letters), LogisticRegression(C=C, max_iter=1000))
    return model.fit(text[told], y[told])


def prior(data: Data, train: np.ndarray) -> np.ndarray:
    """Share of each genre in the tracks of some rows, (genres,)."""
    return np.mean(data.genre[data.one_each(train)] == np.array(data.genres)[:, None], axis=1)


def by_text(data: Data, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Probabilities of each genre for the rows `test`, of which those without text get the prior.

    A genre of which `train` has no text keeps its share, too.
    """
    first, text, shares = data.one_each(train), data.text[test], prior(data, train)
    p, told = np.tile(shares, (len(test), 1)), text != ""
    model = fit(data.text[first], data.genre[first])
    if model and told.any():
        known = [data.genres.index(genre) for genre in model.classes_]
        p[np.ix_(told, known)] = shares[known].sum() * model.predict_proba(text[told])
    return p


def _both(data, train, test):
    """Logarithms of the probabilities by sound, and of those by text over the prior."""
    of = data.x.to_numpy(), data.genre, data.group, train, test
    sound = classical.fit_predict(AUDIO, *of, data.genres)
    text = by_text(data, train, test) / prior(data, train)
    return np.log(np.maximum(sound, LEAST)), np.log(np.maximum(text, LEAST))


def _mixed(weight, sound, text):
    """Probabilities by both: what is known independently multiplies (Bayes), by a weight here.

    A track without text has the prior, over which nothing is left: its sound decides alone.
    """
    return regression.softmax(sound + weight * text)


def _choose_weight(data, rows):
    """Weight with the lowest cross-entropy of whole tracks that inner folds of rows hold out."""
    tracks, first, likely = data.table["track_id"].to_numpy(), data.one_each(rows), []
    for parts in classical.inner_parts(data.genre[first], data.group[first]):
        rest, held = (rows[np.isin(tracks[rows], tracks[first[part]])] for part in parts)
        both = _both(data, rest, held)
        true = np.arange(len(held)), pd.Index(data.genres).get_indexer(data.genre[held])
        found = {weight: _mixed(weight, *both)[true] for weight in WEIGHTS}
        likely.append(pd.DataFrame(found).groupby(tracks[held]).mean())
    losses = -np.log(pd.concat(likely).clip(lower=LEAST)).mean()
    return float(losses.idxmin()), list(losses)


def predict_folds(data: Data, name: str) -> tuple[pd.DataFrame, list[dict]]:
    """Predictions and runs of a model on every fold; refuses what met a test track."""
    tables, runs = [], []
    for fold in data.fold_numbers:
        train, test = data.rows(fold)
        ids = data.table["track_id"].to_numpy()[train]
        splits.refuse_leakage(data.folds, fold, weights=ids, mixture=ids)
        start, about = time.process_time(), {}
        with threadpool_limits(1):
            if name == model_names.AUDIO_TEXT:
                about["weight"], about["inner_loss"] = _choose_weight(data, train)
                p = _mixed(about["weight"], *_both(data, train, test))
            else:
                p = by_text(data, train, test)
        seconds = time.process_time() - start
        runs.append({"fold": fold, "seconds": seconds, "cpu_seconds": seconds} | about)
        tables.append(data.predicted(test, fold, p))
    return pd.concat(tables, ignore_index=True), runs


def cross_validate_text(study: StudyFolder, name: str) -> tuple[pd.DataFrame, dict]:
    """Train and test a model that reads text on every fold of a study, and store what came out.

    Parameters
    ----------
    study : StudyFolder
        A study whose features were extracted, with titles in two genres (see `choose_text`).
    name : {"text", "audio_text"}
        Logistic regression on words and parts of words; or that and one on feature statistics,
        multiplied by a weight that each fold chooses in its training part.

    Returns
    -------
    tuple of pd.DataFrame and dict
        What ``predictions/NAME.parquet`` and ``runs/NAME.json`` hold.
    """
    data = Data(study)
    predictions, runs = predict_folds(data, name)
    used = {"C": C, "words": [*WORDS], "letters": [*LETTERS]}
    run = {
        "model": name,
        "hyperparameters": used if name == "text" else used | {"audio": AUDIO},
        "training_seconds": sum(run["seconds"] for run in runs),
        "training_cpu_seconds": sum(run["cpu_seconds"] for run in runs),
        "folds": runs,
        "versions": {one: version(one) for one in ("scikit-learn", "numpy")},
        "hashes": data.hashes,
    }
    return study_data.store(study, predictions, run)
