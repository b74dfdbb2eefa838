"""Words that speak for a genre, as the model of text has learned them."""

import numpy as np
import pandas as pd
from scipy import sparse

from genre_utils.data import splits
from genre_utils.models import text
from genre_utils.workspace.study_folder import StudyFolder


def telling_words(study: StudyFolder, *, most: int = 6) -> pd.DataFrame:
    """Find the words that speak most for each genre, as the training part of the first fold has it.

    Parameters
    ----------
    study : StudyFolder
        One that `cross_validate_text` takes.
    most : int
        Words of a genre, at most.

    Returns
    -------
    pd.DataFrame of str
        By genre, words: those with the highest positive weights among what stands in the titles of
        two artists or more, and of how many.
    """
    data = text.Data(study)
    fold = data.fold_numbers[0]
    rows = data.one_each(data.rows(fold)[0])
    splits.refuse_leakage(data.folds, fold, weights=data.table["track_id"].iloc[rows])
    rows = rows[data.text[rows] != ""]
    model = text.fit(data.text[rows], data.genre[rows])
    if model is None:
        return pd.DataFrame(columns=["words"])
    words = model[0].transformer_list[0][1]
    group = pd.factorize(data.group[rows])[0]
    by_artist = sparse.csr_array((np.ones(len(rows)), (group, np.arange(len(rows)))))
    counts = np.asarray(((by_artist @ words.transform(data.text[rows])) > 0).sum(axis=0)).ravel()
    weights = model[-1].coef_[:, : len(counts)]
    weights = weights if len(weights) > 1 else np.vstack([-weights, weights])  # of two genres
    names = pd.Index(words.get_feature_names_out())
    table = pd.DataFrame(weights.T, names, model.classes_)[counts > 1]
    told = pd.Series(names + " (" + counts.astype(str) + ")", names)
    best = {genre: table[genre].nlargest(most) for genre in data.genres if genre in table}
    found = {genre: ", ".join(told[own.index[own > 0]]) for genre, own in best.items()}
    return pd.DataFrame({"words": pd.Series(found, dtype=str)}).rename_axis("genre")
