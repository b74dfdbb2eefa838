"""The ensemble: the mean of its members, excerpt by excerpt."""

import numpy as np
import pandas as pd
import pytest

from genre_utils.models import ensemble
from genre_utils.workspace import model_names
from genre_utils.workspace.study_folder import StudyFolder


@pytest.fixture
def study(tmp_path):
    """A study of two members that saw the same excerpts, in different order."""
    study = StudyFolder(tmp_path)
    study.write(corpus={"protocol": "cv"})
    rng = np.random.default_rng(0)
    rows = [(f"t{n}", e, n % 3, "rock") for n in range(6) for e in range(2)]
    for name in model_names.ENSEMBLE_MEMBERS:
        table = pd.DataFrame(rows, columns=["track_id", "excerpt", "fold", "y_true"])
        table[["p_rock", "p_pop"]] = rng.dirichlet([1, 1], len(table))
        times = {"training_seconds": 2.0, "training_cpu_seconds": 3.0}
        study.write_model(name, table.sample(frac=1), times)
    return study


def test_probabilities_are_the_mean_and_times_the_sum(study):
    found, run = ensemble.average_members(study)
    key = ["track_id", "excerpt"]
    parts = [study.predictions(name).set_index(key) for name in model_names.ENSEMBLE_MEMBERS]
    found = found.set_index(key)
    for column in ("p_rock", "p_pop"):
        mean = (parts[0][column] + parts[1][column]) / 2
        pd.testing.assert_series_equal(found[column].sort_index(), mean.sort_index())
    assert run["training_seconds"] == 4.0 and run["training_cpu_seconds"] == 6.0
    assert study.run("ensemble") == run


def test_members_that_saw_other_excerpts_are_refused(study):
    name = model_names.ENSEMBLE_MEMBERS[1]
    study.write_model(name, study.predictions(name).iloc[1:], study.run(name))
    with pytest.raises(ValueError, match="did not predict the same excerpts"):
        ensemble.average_members(study)
