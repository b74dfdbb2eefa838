"""What notebook 02 measures with classical models: fewer groups of features, splits that leak."""

import warnings

import joblib
import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from genre_utils.evaluation import scoring
from genre_utils.experiments import measurements
from genre_utils.features import catalogue
from genre_utils.models import classical
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder


def _feature_sets(families, groups):
    """Families of each set; of fewer than three groups, leaving one out is having the other."""
    groups = {name: [f for f in members if f in families] for name, members in groups.items()}
    groups = {name: members for name, members in groups.items() if members}
    if len(groups) < 3:
        groups = {catalogue.family_name(family): [family] for family in families}
    sets = {"all": families}
    if len(groups) > 1:
        for name, members in groups.items():
            sets[f"without {name}"] = [f for f in families if f not in members]
        sets |= {f"only {name}": members for name, members in groups.items()}
    return sets


def ablate_families(study: StudyFolder, names, groups: dict[str, list[str]]) -> pd.DataFrame:
    """Test classical models with all features, without each group, and with each group alone.

    Stores model, features (of `_feature_sets`), track_id, fold, y_true and the track's mean
    probability of each genre. Gives model, features, accuracy, low, high (95 % over artists), and
    in all rows but "all": difference from it, difference_low, difference_high, p_value (sign-flip
    permutation test over artists), p_holm (Holm over every comparison in the table), separable.
    """
    data = classical.Data(study)
    sets = _feature_sets(list(dict.fromkeys(map(catalogue.family_of, data.x.columns))), groups)
    jobs = [(name, label, seen) for name in names for label, seen in sets.items()]
    tasks = (joblib.delayed(_ablated)(data, *job) for job in jobs)
    found = joblib.Parallel(n_jobs=measurements.JOBS, return_as="generator")(tasks)
    tables = list(tqdm(found, total=len(jobs), desc="feature sets", unit="set"))
    predicted = pd.concat(tables, ignore_index=True)
    for name in names:
        place = study.measurement("families", name).with_suffix(".parquet")
        files.write_table(place, predicted[predicted["model"] == name])
    return _differences_from_all(predicted, study.groups)


def _ablated(data, name, label, families):
    tracks = scoring.track_probabilities(classical.predict_folds(data, name, families)[0])
    tracks.insert(0, "model", name)
    tracks.insert(1, "features", label)
    return tracks.drop(columns="y_pred")


def _differences_from_all(predictions, groups):
    predicted, rows = scoring.most_probable(predictions), []
    truth = predicted.drop_duplicates("track_id").set_index("track_id")["y_true"]
    right = measurements.correct(predicted, truth, "track_id", ["model", "features"]).sort_index()
    of = right.index.map(groups)
    for model in right.columns.unique("model"):
        own, table = right[model], measurements.accuracies(right[model], of)
        for name in own:
            rows.append({"model": model, "features": name, **table.loc[name]})
            if name != "all":
                rows[-1] |= measurements.change(own[name], own["all"], of)
    return measurements.judged(pd.DataFrame(rows))


def compare_splits(study: StudyFolder, *, seed: int = 0) -> dict:
    """Predict every excerpt by the same SVM under three splits, to measure leakage, and store it.

    ``segment`` splits excerpts at random, so that parts of one track stand on both sides;
    ``track`` splits whole tracks at random; ``artist`` is the study's own folds, which must be by
    artist. Only the last is free of leakage. Gives what ``predictions/leakage/svm_SPLIT.parquet``
    holds. Raises ValueError if a genre has so few tracks that a random fold would leave none.
    """
    data = classical.Data(study)
    units = {"segment": np.arange(len(data.x)), "track": data.table["track_id"].to_numpy()}
    jobs = [  # what is split at random is calibrated on random parts, too
        (split, fold, whole, *part)
        for split, whole in units.items()
        for fold, part in enumerate(_random_split(data.genre, whole, len(data.fold_numbers), seed))
    ]
    jobs += [("artist", fold, data.group, *data.rows(fold)) for fold in data.fold_numbers]
    predicted = measurements.fit_predict(data, "svm", jobs)
    for split, table in predicted.items():
        place = study.measurement("leakage", f"svm_{split}").with_suffix(".parquet")
        files.write_table(place, table)
    return predicted


def _random_split(y, units, folds, seed):
    """Folds that keep each unit whole and draw units at random: (train, test) rows of each."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a genre with fewer rows than folds: checked below instead
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = [(train, test) for train, test in splitter.split(y, y, units) if len(test)]
    for train, _ in parts:
        if lost := set(y) - set(y[train]):
            raise ValueError(
                f"a fold would leave nothing of {min(lost)} to learn from: it has too few tracks "
                "to be split at random. Leave that genre out of GENRES, or use more FOLDS."
            )
    return parts
