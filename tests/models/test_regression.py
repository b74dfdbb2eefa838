"""Regressions as arrays: they predict as scikit-learn does, and their scores can be added."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from genre_utils.models import regression

GENRES = ["rock", "jazz", "pop"]


def music(seed, rows, columns, genres):
    rng = np.random.default_rng(seed)
    y = np.array(genres * (rows // len(genres)))
    x = 3 * rng.normal(size=(rows, columns)) + 5
    x[:, :5] += 4 * rng.normal(size=(len(genres), 5))[[genres.index(genre) for genre in y]]
    return x, y


@pytest.mark.parametrize("columns", [8, 90])  # fewer than rows, and more
@pytest.mark.parametrize("genres", [GENRES, GENRES[:2]])
def test_it_predicts_as_scikit_learn_does(columns, genres):
    x, y = music(0, 36, columns, genres)
    arrays = regression.fit([x[:30]], y[:30], genres, C=0.03)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.03)).fit(x[:30], y[:30])
    order = [list(pipeline.classes_).index(genre) for genre in genres]
    expected = pipeline.predict_proba(x[30:])[:, order]
    np.testing.assert_allclose(regression.probabilities(arrays, x[30:]), expected, atol=1e-3)


def test_a_block_counts_by_its_weight():
    (x, y), (noise, _) = music(1, 60, 8, GENRES), music(2, 60, 8, GENRES)
    alone = regression.probabilities(regression.fit([x], y, GENRES, C=0.1), x)
    both = np.hstack([x, noise])
    for weight, least, most in ((1e-6, 0, 1e-4), (1.0, 1e-2, 1)):
        arrays = regression.fit([x, noise], y, GENRES, C=0.1, weights=[1, weight])
        apart = np.abs(regression.probabilities(arrays, both) - alone).max()
        assert least <= apart <= most


def test_added_scores_are_the_product_of_probabilities():
    parts = [music(seed, 30, columns, GENRES) for seed, columns in ((3, 6), (4, 50))]
    fitted = [regression.fit([x], y, GENRES, C=0.1) for x, y in parts]
    joined = regression.added(fitted, [0.3, 0.8])
    found = regression.probabilities(joined, np.hstack([x for x, _ in parts]))
    one, two = (regression.probabilities(f, x) for f, (x, _) in zip(fitted, parts, strict=True))
    expected = one**0.3 * two**0.8
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True))
