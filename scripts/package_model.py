"""The model of this package, made anew: what musicnn hears in GTZAN, together with features.

    python -m genre_utils study --profile gtzan-mel-all
    python -m scripts.package_model

Recordings of GTZAN that are to be had are short (gtzan_excerpts) or few (gtzan_mini), spectrograms
of whole tracks many (gtzan_mel80). So one regression on features is fitted to these and another on
the embedding of musicnn to those, and their scores are added, by shares under which artists that
both have not met are predicted best. It takes three minutes on two cores.
"""

import itertools
from functools import cached_property
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from genre_utils.data import corpora, splits
from genre_utils.evaluation import calibration, scoring
from genre_utils.features import patches
from genre_utils.models import classical, regression
from genre_utils.recognition import exported_model, exporting, listening, model_card
from genre_utils.workspace import files, parallel
from genre_utils.workspace.study_folder import StudyFolder

NAME, STUDY, SPECTROGRAMS = "pretrained_fusion", "gtzan-recogniser", "gtzan-mel-all"
STORE = "gtzan_mel80"
RECORDINGS = (("gtzan-mini", "gtzan_mini"), ("folder", "gtzan_excerpts"))  # the first counts
FOLDS, SEED, THOROUGH = 5, 0, "embedding of all patches"
CS = (0.01, 0.03, 0.1)  # of the regression on the embedding, one of which is chosen
MADE_OF = (
    "features of {spectrograms} spectrograms of 30 s, and what musicnn hears in {recordings} "
    "recordings of 2 to 30 s, of the same artists; the recordings are what was scored"
)


def recordings() -> pd.DataFrame:
    """Recordings to learn from: track_id, genre, artist and path, each track once."""
    found = []
    for corpus, name in RECORDINGS:
        folder = corpora.locate(corpus, name)
        tracks = corpora.find_tracks(corpus, folder)
        paths = [folder / path for path in tracks["path"]]
        found.append(tracks.assign(path=[*map(str, paths)], track_id=[path.stem for path in paths]))
    table = pd.concat(found)[["track_id", "genre", "artist", "path"]]
    return table.drop_duplicates("track_id").sort_values("track_id", ignore_index=True)


def describe(path: str, recipe: dict) -> dict[str, np.ndarray]:
    """Features and embedding of the excerpts of a recording, as recognition will read them.

    And the embedding by all patches, from which more is learned than by those usually heard.
    """
    bank = exporting.mel_bank(STORE)
    (_, y), *_ = listening.windows(path, seconds=recipe["clip_seconds"], sr=recipe["sr"])
    heard = listening.inputs(y, recipe, bank)
    thorough = listening.inputs(y, recipe, bank, thorough=True)
    return {name: heard[name] for name in recipe["reads"]} | {THOROUGH: thorough["embedding"]}


class Music:
    """Spectrograms and recordings of the same artists, and folds that no artist crosses.

    `fold` is the one in which each row is tested: of `spectrograms`, (rows, features), and of
    `recordings`, a row per excerpt.
    """

    def __init__(self, study: StudyFolder, tracks: pd.DataFrame, heard: list[dict]):
        known = study.tracks.loc[study.tracks["status"] == "used", ["track_id", "genre", "artist"]]
        self.all = pd.concat([tracks, known]).drop_duplicates("track_id", ignore_index=True)
        self.folds = splits.make_folds(self.all, folds=FOLDS, group_by="artist", seed=SEED)
        tested = self.folds[self.folds["part"] == "test"].set_index("track_id")["fold"]
        self.genres, data = study.genres, classical.Data(study)
        self.spectrograms = data.table.assign(
            genre=data.genre, fold=data.table["track_id"].map(tested).to_numpy()
        )
        self.features = data.x.to_numpy()
        counts = [len(one["embedding"]) for one in heard]
        rows = tracks.loc[np.repeat(np.arange(len(tracks)), counts)].reset_index(drop=True)
        self.recordings = rows.assign(
            excerpt=np.concatenate([*map(np.arange, counts)]),
            fold=rows["track_id"].map(tested),
            true=rows["genre"].map(self.genres.index),
            share=1 / np.repeat(counts, counts),  # of a track
        )
        self.heard = {key: np.concatenate([one[key] for one in heard]) for key in heard[0]}
        self._fitted: dict = {}

    @cached_property
    def of_tracks(self) -> pd.DataFrame:
        """Mean embedding of all of each recording, by track_id."""
        return pd.DataFrame(self.heard[THOROUGH]).groupby(self.recordings["track_id"]).mean()

    def fit(self, left_out: frozenset, C: float) -> list[regression.Arrays]:
        """Fit both regressions to the artists of all folds but some."""
        for fold in left_out:
            learned = self.spectrograms, self.recordings
            ids = np.concatenate([t.loc[~t["fold"].isin(left_out), "track_id"] for t in learned])
            splits.refuse_leakage(self.folds, fold, weights=np.unique(ids), settings=ids)
        if left_out not in self._fitted:
            keep = ~self.spectrograms["fold"].isin(left_out).to_numpy()
            of = self.spectrograms["genre"].to_numpy()[keep], self.genres
            settings = classical.HYPERPARAMETERS["logistic"]
            self._fitted[left_out] = regression.fit([self.features[keep]], *of, **settings)
        first = self.recordings.drop_duplicates("track_id").set_index("track_id")
        first = first[~first["fold"].isin(left_out)]
        heard = self.of_tracks.loc[first.index].to_numpy()
        fitted = regression.fit([heard], first["genre"].to_numpy(), self.genres, C=C)
        return [self._fitted[left_out], fitted]

    def scores(
        self, fitted: list[regression.Arrays], rows: np.ndarray, embedding: str = "embedding"
    ) -> np.ndarray:
        """Logarithms of the probabilities by both regressions, (rows, genres, 2)."""
        blocks = self.heard["features"][rows], self.heard[embedding][rows]
        said = [
            np.log(regression.probabilities(arrays, block) + calibration.TINY)
            for arrays, block in zip(fitted, blocks, strict=True)
        ]
        return np.stack(said, axis=2)

    def rows(self, fold: int) -> np.ndarray:
        """Rows of recordings that are tested in a fold."""
        return np.flatnonzero(self.recordings["fold"] == fold)

    def choose(self, left_out: frozenset) -> tuple[float, np.ndarray]:
        """C and shares that suit the artists of all folds but some best, each by models without."""
        inner = [fold for fold in range(FOLDS) if fold not in left_out]
        held = np.concatenate([self.rows(fold) for fold in inner])
        found = []
        for C in CS:
            scores = np.concatenate(
                [self.scores(self.fit(left_out | {fold}, C), self.rows(fold)) for fold in inner]
            )
            loss, shares = _best_shares(scores, self.recordings.iloc[held])
            found.append((loss, C, shares))
        return min(found, key=itemgetter(0))[1:]

    def predict(self, fold: int) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
        """Predictions of a fold's artists, by models and shares that met none of them.

        Once as recordings are usually heard, and once by all patches.
        """
        C, shares = self.choose(frozenset({fold}))
        rows, fitted = self.rows(fold), self.fit(frozenset({fold}), C)
        table = self.recordings.iloc[rows][["track_id", "excerpt", "fold", "genre"]]
        table = table.rename(columns={"genre": "y_true"}).reset_index(drop=True)
        several = []
        for embedding in ("embedding", THOROUGH):
            p = regression.softmax(self.scores(fitted, rows, embedding) @ shares)
            columns = [f"p_{genre}" for genre in self.genres]
            several.append(table.join(pd.DataFrame(p, columns=columns)))
        return (*several, {"fold": fold, "C": C, "shares": shares.tolist()})


def _best_shares(scores, table):
    """Mean loss over tracks, and the shares by which scores are added at which it is least."""
    true, weight = table["true"].to_numpy(), table["share"].to_numpy()

    def loss(logarithms):
        p = regression.softmax(scores @ np.exp(logarithms))
        return weight @ calibration.cross_entropy(p, true) / weight.sum()

    best = optimize.minimize(loss, np.log([0.5, 0.5]), method="Nelder-Mead")
    return best.fun, np.exp(best.x)


def scored(music: Music, study: StudyFolder) -> dict:
    """Cross-validate; write what was predicted, and how, to a study; its results."""
    with threadpool_limits(1):
        bar = tqdm(range(FOLDS), desc="artists predicted by models without them", unit="fold")
        tables, thorough, runs = zip(*map(music.predict, bar), strict=True)
        C, shares = music.choose(frozenset())
    here = music.folds["track_id"].isin(music.recordings["track_id"])
    content = music.all.sort_values("track_id")[["track_id", "genre", "artist"]]
    corpus = {
        "name": "gtzan", "synthetic": False, "tracks": len(music.all), "genres": music.genres,
        "artists": int(music.all["artist"].nunique()), "group_by": "artist", "folds": FOLDS,
        "protocol": "cv", "sha256": files.sha256(content.to_csv(index=False)),
    }  # fmt: skip
    settings = {"C of features": classical.HYPERPARAMETERS["logistic"]["C"], "C of embedding": C}
    settings |= dict(zip(("share of features", "share of embedding"), shares.round(3), strict=True))
    run = {
        "model": NAME, "hyperparameters": settings, "folds": list(runs),
        "versions": {one: version(one) for one in ("scikit-learn", "numpy")},
        "hashes": {"musicnn": patches.network_sha256()},
    }  # fmt: skip
    predictions, all_heard = (pd.concat(one, ignore_index=True) for one in (tables, thorough))
    study.write(tracks=music.all.assign(status="used"), folds=music.folds[here], corpus=corpus)
    study.write_model(NAME, predictions, files.plain(run))
    evaluated = scoring.evaluate(study, predictions) | {"hyperparameters": settings}
    evaluated["heard"] = cost_of_haste(predictions, all_heard)
    results = {
        "profile": study.name,
        "protocol": "cv",
        "corpus": corpus,
        "models": {NAME: evaluated},
    }
    study.write(results=files.plain(results))
    return study.results


def cost_of_haste(predictions: pd.DataFrame, thorough: pd.DataFrame) -> dict:
    """Accuracy on recordings of 30 s by the patches usually heard, and by all of them.

    And what three windows of a long recording are worth: clips of one genre, in most of which they
    are of one artist, stand for the windows of a recording of five minutes.
    """
    long = thorough["track_id"][thorough["excerpt"] > 0].unique()
    found = {"tracks": len(long)}
    for name, table in (("patches", predictions), ("all_patches", thorough)):
        tracks = scoring.track_probabilities(table[table["track_id"].isin(long)])
        found[name] = (tracks["y_true"] == tracks["y_pred"]).mean()
    right: dict[str, list] = {"windows": [], "all_windows": []}
    columns = scoring.probability_columns(thorough)
    windows = int(listening.HEARD_SECONDS / 30)
    for genre, own in tracks.groupby("y_true"):
        p, place = own[columns].to_numpy(), columns.index(f"p_{genre}")
        right["all_windows"].append(p.mean(axis=0).argmax() == place)
        several = itertools.combinations(range(len(p)), windows)
        right["windows"].append(
            np.mean([p[list(some)].mean(axis=0).argmax() == place for some in several])
        )
    return found | {name: float(np.mean(values)) for name, values in right.items()}


def make() -> Path:
    """Make the model, its sidecar, results and card; return the model's file."""
    spectrograms, tracks = StudyFolder(SPECTROGRAMS), recordings()
    recipe = exporting.recipe(spectrograms, NAME, STORE)
    jobs, folder = [(path, recipe) for path in tracks["path"]], files.data_folder()
    heard = parallel.over(describe, jobs, len(jobs), desc="recordings", unit="file", folder=folder)
    music, study = Music(spectrograms, tracks, list(heard)), StudyFolder(STUDY, make=True)
    results = scored(music, study)
    settings = study.run(NAME)["hyperparameters"]
    shares = settings["share of features"], settings["share of embedding"]
    arrays = regression.added(music.fit(frozenset(), settings["C of embedding"]), shares)
    about = exporting.described(study, NAME, recipe)
    counts = {"recordings": len(tracks), "spectrograms": spectrograms.corpus["tracks"]}
    about["made_from"] = MADE_OF.format(**counts)
    path = exported_model.PRETRAINED
    exporting.write(path, arrays | exporting.mel_bank(STORE), about, spectrograms)
    files.write_json(path.with_suffix(".results.json"), results)
    write_card()
    return path


def write_card() -> None:
    """Write the model's card of its stored results and sidecar."""
    path = exported_model.PRETRAINED
    results = files.read_json(path.with_suffix(".results.json"))
    card = model_card.card(results, exported_model.read_sidecar(path))
    files.write_text(path.with_suffix(".md"), card)


if __name__ == "__main__":
    print(make())
