"""What leakage is worth, made on purpose: one model, three splits, equally much to learn from."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import t

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import measurements
from genre_utils.models import classical
from genre_utils.workspace import model_names
from genre_utils.workspace.study_folder import StudyFolder

GRID = "leakage"
NAMES = ("svm", "cnn")
#: What each split draws at random, and how readers know it. Only the last one does not leak.
SPLITS = {"segment": "random excerpts", "track": "random tracks", "artist": "artist-disjoint"}
WHOLE = -1  # number of the excerpt where a prediction is of the whole track
FOLDS = 5  # at most: each is trained on for every split and seed
SEEDS = 3  # how often excerpts, tracks and artists are drawn, and a network begins anew
MOST = 4000  # excerpts in a training set: an SVM of many more would take hours
TRIES = 50  # seeds that are tried until so many as wanted can be drawn


def obstacle(study: StudyFolder) -> str:
    """Why leakage cannot be measured in a study; empty if it can."""
    if study.corpus["group_by"] != "artist":
        return "the study is split by track, so no split is artist-disjoint"
    if why := measurements.obstacle(study):
        return why
    try:
        _equal_folds(study, classical.Data(study).table, 1)
    except ValueError as error:
        return str(error)
    return ""


def estimate(study: StudyFolder, names=NAMES) -> float:
    """Seconds that `measure` takes for networks."""
    return measurements.seconds(study, names, len(SPLITS) * SEEDS * FOLDS)


def measure(study: StudyFolder, names=NAMES) -> None:
    """Test models under three splits with equal training sets, and store the rest; resumable.

    Measured are those of `names` that the study, whose folds are by artist, has trained, with their
    settings. All, the SVM as well, learn from the training part alone. Each training set has
    equally many excerpts of a genre: the most that all splits, folds and seeds have, up to `MOST`
    in all. A network's inner validation part is drawn as its test part is. A ValueError says what
    stands in the way (see `obstacle`).
    """
    decides = {f"equal_{n}": made for n, made in measurements.made(study, names).items()}
    for label, key in measurements.left(study, GRID, decides, obstacle).items():
        name = label.removeprefix("equal_")
        predictions, sizes = _measured(study, name)
        measurements.store(study, GRID, label, key, predictions, model=name, sizes=sizes)


def _measured(study, name):
    """Predictions of a model under each split and seed, and the excerpts of a genre it learns."""
    data = classical.Data(study)
    drawn = _equal_folds(study, data.table, SEEDS)
    first = next(iter(drawn.values())).query("part == 'train' and fold == 0")
    simple = name in model_names.CLASSICAL
    tables = _classical(data, name, drawn) if simple else _network(study, name, drawn)
    predictions = [
        _predicted(table, split).assign(split=split, seed=seed)
        for (split, seed), table in tables.items()
    ]
    return pd.concat(predictions, ignore_index=True), first["genre"].value_counts().to_dict()


def _equal_folds(study, table, seeds):
    """Folds of excerpts by (split, seed), with equal training sets, for seeds that leave enough."""
    tracks, folds = study.tracks.query("status == 'used'"), min(FOLDS, study.corpus["folds"])
    excerpts = table.merge(tracks[["track_id", "genre", "artist"]], on="track_id")
    excerpts = excerpts.assign(name=_named(excerpts))
    drawn, refused = {}, ""
    for seed in range(TRIES):
        try:
            drawn |= {(split, seed): _drawn(excerpts, split, folds, seed) for split in SPLITS}
        except ValueError as error:
            refused = str(error)
        if len(drawn) == seeds * len(SPLITS):
            break
    if not drawn:
        raise ValueError(f"the tracks cannot be drawn into {folds} folds: {refused}")
    return _equal(drawn)


def _named(excerpts):
    """One name for each excerpt of each track."""
    return excerpts["track_id"] + "#" + excerpts["excerpt"].astype(str)


def _drawn(excerpts, split, folds, seed):
    """Folds that keep whole what the split keeps whole, spelled out for excerpts."""
    unit = "name" if split == "segment" else "track_id"
    units = excerpts.assign(track_id=excerpts[unit]).drop_duplicates("track_id")
    by = "artist" if split == "artist" else "track"
    made = splits.make_folds(units, folds=folds, group_by=by, seed=seed)
    fewest = made[made["part"] == "train"].groupby("fold")["group"].nunique().min()
    if fewest < (least := classical.CALIBRATION_FOLDS):
        raise ValueError(f"a fold leaves {fewest} {by}s to learn from, where {least} are needed")
    columns = excerpts[["name", "genre"]].assign(unit=excerpts[unit])
    spelled = made.rename(columns={"track_id": "unit"}).merge(columns, on="unit")
    spelled["track_id"] = spelled["name"]
    return spelled[["track_id", "fold", "part", "group", "genre"]]


def _equal(drawn):
    """Leave out training excerpts at random until all training sets have as many of each genre."""
    every = pd.concat(drawn, names=["split", "seed"]).query("part == 'train'")
    sizes = every.groupby(["split", "seed", "fold", "genre"]).size().groupby("genre").min()
    most, equal = sizes.clip(upper=MOST // len(sizes)), {}
    for (split, seed), table in drawn.items():
        order = np.random.default_rng(seed).permutation(len(table))
        train = table.iloc[order].query("part == 'train'")
        place = train.groupby(["fold", "genre"]).cumcount()
        extra = place.index[place >= train["genre"].map(most)]
        equal[split, seed] = table.drop(index=extra).reset_index(drop=True)
    return equal


def _classical(data, name, drawn):
    """Predictions under each split and seed; the SVM is calibrated under the same split."""
    names, jobs = pd.Index(_named(data.table)), []
    for key, folds in drawn.items():
        for fold, own in folds.groupby("fold"):
            train, test = (own[own["part"] == part]["track_id"] for part in ("train", "test"))
            splits.refuse_leakage(folds, fold, weights=train)  # of what this split keeps whole
            group = own.set_index("track_id")["group"].reindex(names).to_numpy()
            jobs.append((key, fold, group, names.get_indexer(train), names.get_indexer(test)))
    return measurements.fit_predict(data, name, jobs)


def _network(study, name, drawn):
    """Predictions of a network under each split and seed; folds that are done are read."""
    from genre_utils.models import architectures, cross_validation, training_data  # TensorFlow

    tables = {}
    for number, ((split, seed), folds) in enumerate(drawn.items(), 1):
        settings, options = measurements.settings_of(study, name, folds)
        if next(iter(settings.values())).fixed_epochs:  # would learn from the inner part too
            folds = folds[folds["part"] != "validation"]
        data = training_data.load_data(study, folds.drop(columns="genre"))
        data.keep(data.table["copy"] == 0)
        if "features" in architectures.reads(name):
            _ = data.features  # read while excerpts still go by the names of their tracks
        data.table = data.table.assign(track_id=_named(data.table))
        data.excerpts = data.excerpts.apart()
        options["seed"] += seed
        options["label"] = f"[{number}/{len(drawn)}] {name}, {SPLITS[split]}"
        predictions, _ = cross_validation.out_of_fold(study, name, data, settings, **options)
        track = predictions["track_id"].str.rpartition("#")[0]
        tables[split, seed] = predictions.assign(track_id=track)
    return tables


def _predicted(predictions, split):
    """Genre predicted for each excerpt, and, where tracks stay whole, for each track."""
    tables = [scoring.most_probable(predictions)]
    if split != "segment":
        tables.append(scoring.track_probabilities(predictions).assign(excerpt=WHOLE))
    return pd.concat(tables, ignore_index=True)[["track_id", "excerpt", "y_pred"]]


def _by_seed(study):
    """Model, level, which predictions are right, (rows, (split, seed)), and the rows' artists."""
    for record, predictions in measurements.by_model(study, GRID)[::-1]:
        for level in ("excerpt", "track"):
            rows = predictions[(predictions["excerpt"] == WHOLE) == (level == "track")]
            units, by = ["track_id", "excerpt"], ["split", "seed"]
            wide = measurements.correct(rows, study.genre_of, units, by)
            yield record["model"], level, wide, wide.index.get_level_values(0).map(study.groups)


def accuracies(study: StudyFolder) -> pd.DataFrame:
    """Accuracy of each model under each split, with equal training sets.

    Gives model, level (excerpt or track), split, accuracy (mean over the seeds), low, high (95 %,
    over artists), by_seed (list of float). Empty if nothing is stored.
    """
    rows = []
    for model, level, wide, groups in _by_seed(study):
        table = measurements.accuracies(wide, groups, "split")
        for split in [split for split in SPLITS if split in wide]:
            row = {"model": model, "level": level, "split": split, **table.loc[split]}
            rows.append(row | {"by_seed": list(wide[split].mean())})
    return pd.DataFrame(rows)


def compare(study: StudyFolder) -> pd.DataFrame:
    """What each kind of leakage is worth: paired differences between splits.

    Gives model, level, a, b (splits: a minus b), difference, low, high (95 % over artists),
    seeds_low, seeds_high (95 %, Student's t over the seeds), p_value (sign-flip permutation test
    over artists), p_holm (Holm over all rows) and separable. Empty if nothing is stored.
    """
    rows = []
    for model, level, wide, groups in _by_seed(study):
        for a, b in combinations([split for split in SPLITS if split in wide], 2):
            change = measurements.difference(wide[a], wide[b], groups)
            over_seeds = _over_seeds(list(wide[a].mean() - wide[b].mean()))
            rows.append({"model": model, "level": level, "a": a, "b": b, **change, **over_seeds})
    return measurements.judged(pd.DataFrame(rows))


def _over_seeds(values):
    """95 % interval of the mean by Student's t; none with one seed."""
    if len(values) < 2:
        return {"seeds_low": np.nan, "seeds_high": np.nan}
    reach = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return {"seeds_low": np.mean(values) - reach, "seeds_high": np.mean(values) + reach}


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`compare` as a table to be read."""
    seeds = (100 * table[["seeds_low", "seeds_high"]]).to_numpy()
    columns = {
        "model": table["model"],
        "of": table["level"] + "s",
        "difference": table["a"].map(SPLITS) + " less " + table["b"].map(SPLITS),
        "[95 %, draws]": ["" if np.isnan(a) else f"[{a:+z.0f}, {z:+z.0f}]" for a, z in seeds],
    }
    return measurements.readable(table, columns)


def training_size(study: StudyFolder) -> int:
    """Excerpts that each model learned from in each fold; 0 if nothing is stored."""
    records = [record for record, _ in measurements.by_model(study, GRID)]
    return sum(records[0]["sizes"].values()) if records else 0
