"""The price of leakage: the same model under three splits, with equally much to learn from.

Here, and in `classical.price_of_leakage`, leakage is made on purpose, to say what carelessness
would have reported. Nothing of it serves any other number of a study. Every split is dealt by
`splits.make_folds`, only that what it keeps whole is an excerpt, a track, or an artist.
"""

from itertools import count, pairwise
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from scipy.stats import t
from tqdm import tqdm

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import measurements
from genre_utils.models import classical
from genre_utils.plots import formatting
from genre_utils.workspace import files, model_names

GRID = "leakage"
#: What each split deals at random, and how readers know it. Only the last one is honest.
SPLITS = {
    "segment": "excerpts at random",
    "track": "tracks at random",
    "artist": "artists apart",
}
LEVELS = ("excerpt", "track")
WHOLE = -1  # number of the excerpt where an answer is about the whole track
FOLDS = 5  # at most: each is trained on for every split and seed
MOST = 4000  # excerpts in a training set: an SVM of many more would take hours
TRIES = 50  # seeds that are tried until so many as wanted can be dealt
VERSION = 1  # of what is measured: another one is measured anew


def obstacle(study: Path) -> str:
    """Why the price of leakage cannot be measured in a study; empty if it can."""
    corpus = files.read_json(study / "corpus.json")
    if corpus["group_by"] != "artist":
        return "the study is split by track, so no split keeps artists apart"
    if why := measurements.one_look(study):
        return why
    try:
        deal(*_dealt_of(study, classical.Data(study).table), seeds=1)
    except ValueError as error:
        return str(error)
    return ""


def estimate(study: Path, name: str, *, seeds: int = 3, folds: int = FOLDS) -> float:
    """Seconds that `measure` takes for a network, from what a fold of it took in the study."""
    return len(SPLITS) * seeds * folds * measurements.seconds_a_fold(study, name)


def measure(study: Path, names=("svm",), *, seeds: int = 3, folds: int = FOLDS, n_jobs=-1) -> None:
    """Test models under three splits with equal training sets, and store the answers; resumable.

    All of them, the SVM as well, learn from the training part alone, and each training set has
    equally many excerpts of a genre, whatever the split, the fold and the seed: the most that all
    of them have, up to `MOST` in all. A network's inner validation part is dealt as its test part
    is, since who is careless in one is careless in the other.

    Parameters
    ----------
    study : Path
        Whose folds are by artist. ``predictions/leakage/equal_NAME.parquet`` and ``.json`` are
        written.
    names : sequence of str
        Classical models, and networks that the study has trained, whose settings are used.
    seeds : int
        How often the excerpts, tracks and artists are dealt anew. A network is trained from other
        initial weights each time.
    folds : int
        At most; no more than the study has.
    n_jobs : int
        Processes for classical models; -1 for one per core.

    Raises
    ------
    ValueError
        If the study cannot tell (see `obstacle`), or its tracks cannot be dealt.
    """
    for name in names:
        key = files.sha256(
            measurements.inputs(study), measurements.made_by(study, name), VERSION, seeds, folds
        )
        if not measurements.is_stored(study, GRID, f"equal_{name}", key):
            if why := obstacle(study):
                raise ValueError(f"the price of leakage cannot be measured: {why}.")
            answers, sizes = _measured(study, name, seeds, folds, n_jobs)
            measurements.store(study, GRID, f"equal_{name}", key, answers, model=name, sizes=sizes)


def _measured(study, name, seeds, folds, n_jobs):
    data = classical.Data(study)
    dealt = deal(*_dealt_of(study, data.table, folds), seeds=seeds)
    first = next(iter(dealt.values()))
    sizes = first[(first["part"] == "train") & (first["fold"] == 0)]["genre"].value_counts()
    if name in measurements.CLASSICAL:
        tables = _classical(data, name, dealt, n_jobs)
    else:
        tables = _network(study, name, dealt)
    answers = pd.concat(
        [_answers(table, split).assign(split=split, seed=seed) for (split, seed), table in tables],
        ignore_index=True,
    )
    return answers, {genre: int(n) for genre, n in sizes.items()}


def _dealt_of(study, table, folds=FOLDS):
    """What `deal` deals in a study: excerpts, used tracks, and the number of folds."""
    tracks = pd.read_parquet(study / "tracks.parquet")
    used = tracks[tracks["status"] == "used"]
    return table, used, min(folds, files.read_json(study / "corpus.json")["folds"])


def deal(table: pd.DataFrame, tracks: pd.DataFrame, folds: int, *, seeds: int) -> dict:
    """Folds of excerpts under each split and seed, with equal training sets.

    Parameters
    ----------
    table : pd.DataFrame
        track_id and excerpt of every excerpt.
    tracks : pd.DataFrame
        track_id, genre and artist.
    folds : int
    seeds : int
        Fewer come out of it where few seeds can be dealt.

    Returns
    -------
    dict of (str, int) to pd.DataFrame
        By split and seed: what `splits.make_folds` gives, where a track_id stands for one excerpt
        (see `named`), and its genre.

    Raises
    ------
    ValueError
        If in every deal a fold would leave some genre nothing to learn from, or fewer artists
        than the SVM is calibrated with.
    """
    excerpts = table.merge(tracks[["track_id", "genre", "artist"]], on="track_id")
    excerpts = excerpts.assign(name=named(excerpts))
    dealt, refused = {}, ""
    for seed in range(TRIES):
        try:
            dealt |= {(split, seed): _dealt(excerpts, split, folds, seed) for split in SPLITS}
        except ValueError as error:
            refused = str(error)
        if len(dealt) == seeds * len(SPLITS):
            break
    if not dealt:
        raise ValueError(f"the tracks cannot be dealt into {folds} folds: {refused}")
    return _equal(dealt)


def named(excerpts: pd.DataFrame) -> pd.Series:
    """One name for each excerpt of each track."""
    return excerpts["track_id"] + "#" + excerpts["excerpt"].astype(str)


def _dealt(excerpts, split, folds, seed):
    """Folds that keep whole what the split keeps whole, spelled out for excerpts."""
    unit = {"segment": "name"}.get(split, "track_id")
    units = excerpts.assign(track_id=excerpts[unit]).drop_duplicates("track_id")
    by = "artist" if split == "artist" else "track"
    made = splits.make_folds(units, folds=folds, group_by=by, seed=seed)
    fewest = made[made["part"] == "train"].groupby("fold")["group"].nunique().min()
    if fewest < classical.CALIBRATION_FOLDS:
        raise ValueError(
            f"a fold would leave {fewest} {by}s to learn from, where "
            f"{classical.CALIBRATION_FOLDS} are needed"
        )
    made = made.rename(columns={"track_id": "unit"})
    columns = excerpts[["name", "genre"]].assign(unit=excerpts[unit])
    spelled = made.merge(columns, on="unit").rename(columns={"name": "track_id"})
    return spelled[["track_id", "fold", "part", "group", "genre"]]


def _equal(dealt):
    """Leave out training excerpts at random until all training sets have as many of each genre."""
    sizes = [
        table[table["part"] == "train"].groupby(["fold", "genre"]).size().groupby("genre").min()
        for table in dealt.values()
    ]
    most = pd.concat(sizes, axis=1).min(axis=1).clip(upper=MOST // len(sizes[0]))
    equal = {}
    for (split, seed), table in dealt.items():
        order = np.random.default_rng(seed).permutation(len(table))
        train = table.iloc[order].loc[lambda rows: rows["part"] == "train"]
        place = train.groupby(["fold", "genre"]).cumcount()
        extra = place.index[place >= train["genre"].map(most)]
        equal[split, seed] = table.drop(index=extra).reset_index(drop=True)
    return equal


def _classical(data, name, dealt, n_jobs):
    """Predictions for each deal; who deals carelessly calibrates carelessly too."""
    names, x = pd.Index(named(data.table)), data.x.to_numpy()
    jobs = [(key, fold) for key, folds in dealt.items() for fold in sorted(folds["fold"].unique())]
    tasks = []
    for key, fold in jobs:
        table = dealt[key][dealt[key]["fold"] == fold]
        train, test = (table[table["part"] == part]["track_id"] for part in ("train", "test"))
        splits.refuse_leakage(dealt[key], fold, weights=train)  # of what this split keeps whole
        group = table.set_index("track_id")["group"].reindex(names).to_numpy()
        rows = names.get_indexer(train), names.get_indexer(test)
        arguments = name, x, data.y, group, *rows, data.genres
        tasks.append((joblib.delayed(classical.fit_predict)(*arguments), rows[1]))
    found = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(task for task, _ in tasks)
    found = tqdm(found, total=len(jobs), desc=f"{name}, three splits", unit="fold")
    tables = {key: [] for key in dealt}
    for (key, fold), (_, test), probabilities in zip(jobs, tasks, found, strict=True):
        table = data.table.iloc[test].reset_index(drop=True).assign(fold=fold, y_true=data.y[test])
        table[[f"p_{genre}" for genre in data.genres]] = probabilities
        tables[key].append(table)
    return [(key, pd.concat(parts, ignore_index=True)) for key, parts in tables.items()]


def _network(study, name, dealt):
    """Predictions of a network for each deal; folds that are done are read."""
    from genre_utils.models import architectures, cross_validation, training_data

    settings, options = measurements.settings_of(study, name)
    tables = []
    for number, ((split, seed), folds) in zip(count(1), dealt.items(), strict=False):
        data = training_data.load_data(study, folds.drop(columns="genre"))
        data.keep(data.table["copy"] == 0)
        if "features" in architectures.reads(name):
            _ = data.features  # read while excerpts still go by the names of their tracks
        track = data.table["track_id"]
        data.table = data.table.assign(track_id=named(data.table))
        options["label"] = f"[{number}/{len(dealt)}] {name}, {SPLITS[split]}"
        once = options | {"seed": options["seed"] + seed}
        predictions, _ = cross_validation.out_of_fold(study, name, data, settings, **once)
        whose = dict(zip(data.table["track_id"], track, strict=True))
        predictions["track_id"] = predictions["track_id"].map(whose)
        tables.append(((split, seed), predictions))
    return tables


def _answers(predictions, split):
    """Genre named for each excerpt, and, where tracks stay whole, for each track."""
    columns = ["track_id", "excerpt", "y_pred"]
    answers = scoring.most_probable(predictions)[columns]
    if split == "segment":
        return answers
    whole = scoring.track_probabilities(predictions).assign(excerpt=WHOLE)[columns]
    return pd.concat([answers, whole], ignore_index=True)


def _by_seed(study):
    """By model and level: which answers are right, (answers, (split, seed)), and their artists."""
    genre, group = measurements.genre_of(study), measurements.group_of(study)
    found = {}
    for record, answers in measurements.stored(study, GRID).values():
        answers = measurements.with_right(answers, genre)
        for level in LEVELS:
            rows = answers[(answers["excerpt"] == WHOLE) == (level == "track")]
            wide = rows.pivot_table(
                "right", ["track_id", "excerpt"], ["split", "seed"], aggfunc="first", sort=False
            ).astype(float)
            groups = wide.index.get_level_values("track_id").map(group)
            found[record["model"], level] = wide, groups
    return found


def price(study: Path) -> pd.DataFrame:
    """Accuracy of each model under each split, with equal training sets.

    Returns
    -------
    pd.DataFrame
        model, level (excerpt or track), split, accuracy (mean over the seeds), low, high (95 %,
        over artists), by_seed (list of float), seeds_low and seeds_high (95 %, Student's
        t over the seeds). Empty if nothing is stored.
    """
    rows = []
    for (model, level), (wide, groups) in _by_seed(study).items():
        mean = wide.T.groupby(level="split", sort=False).mean().T
        for split, row in measurements.accuracies(mean, groups).iterrows():
            by_seed = list(wide[split].mean())
            rows.append({"model": model, "level": level, "split": split, **row})
            rows[-1] |= {"by_seed": by_seed} | _over_seeds(by_seed)
    table = pd.DataFrame(rows)
    return table if table.empty else _in_order(table, "split")


def differences(study: Path) -> pd.DataFrame:
    """What each kind of leakage is worth: paired differences between splits.

    Returns
    -------
    pd.DataFrame
        model, level, a, b (splits: a minus b), difference, low, high (95 % over
        artists), seeds_low, seeds_high (95 %, Student's t over the seeds), p_value (sign flips over
        artists), p_holm (Holm over all rows) and separable.
    """
    rows = []
    for (model, level), (wide, groups) in _by_seed(study).items():
        splits_here = [split for split in SPLITS if split in wide]
        pairs = list(pairwise(splits_here))
        if len(splits_here) > 2:
            pairs.append((splits_here[0], splits_here[-1]))
        for a, b in pairs:
            change = measurements.difference(wide[a], wide[b], groups)
            over_seeds = _over_seeds(list(wide[a].mean() - wide[b].mean()))
            rows.append({"model": model, "level": level, "a": a, "b": b, **change, **over_seeds})
    table = pd.DataFrame(rows)
    return table if table.empty else measurements.judged(_in_order(table, "a"))


def _in_order(table, column):
    """Rows by model, level and split, each in its own order."""
    orders = {"level": LEVELS, column: tuple(SPLITS), "model": model_names.MODEL_ORDER[::-1]}

    def place(values):
        return values.map(orders[values.name].index)

    return table.sort_values(
        ["model", "level", column], key=place, kind="stable", ignore_index=True
    )


def _over_seeds(values):
    """95 % interval of the mean by Student's t; none with one seed."""
    if len(values) < 2:
        return {"seeds_low": np.nan, "seeds_high": np.nan}
    reach = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return {"seeds_low": np.mean(values) - reach, "seeds_high": np.mean(values) + reach}


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`differences` as a table to be read, in points."""
    limits = {
        "points [95 %, artists]": ("low", "high"),
        "[95 %, deals]": ("seeds_low", "seeds_high"),
    }
    readable = pd.DataFrame(
        {
            "model": table["model"],
            "of": table["level"] + "s",
            "difference": [
                f"{SPLITS[a]} less {SPLITS[b]}" for a, b in table[["a", "b"]].to_numpy()
            ],
        }
    )
    for name, ends in limits.items():
        pairs = (100 * table[list(ends)]).to_numpy()
        readable[name] = ["" if np.isnan(a) else f"[{a:+z.0f}, {b:+z.0f}]" for a, b in pairs]
    first = next(iter(limits))
    values = 100 * table["difference"]
    readable[first] = [f"{v:+z.0f} {text}" for v, text in zip(values, readable[first], strict=True)]
    verdicts = table["separable"].map({True: "differ", False: "not separable"})
    return readable.assign(p=table["p_holm"], verdict=verdicts)


def training_size(study: Path) -> int:
    """Excerpts that each model learned from in each fold; 0 if nothing is stored."""
    records = [record for record, _ in measurements.stored(study, GRID).values()]
    return sum(records[0]["sizes"].values()) if records else 0


def told(row):
    """Write a difference, and whether it is significant."""
    return formatting.points(row)[:-1] + (")" if row["separable"] else "; not separable from none)")
