"""The ensemble: the mean of its members, excerpt by excerpt."""

import numpy as np
import pandas as pd
import pytest

from genre_utils.models import ensemble
from genre_utils.workspace import files


def members(study, shift=0):
    """Two members that saw the same excerpts, in different order."""
    files.write_json(study / "corpus.json", {"protocol": "cv"})
    rng = np.random.default_rng(0)
    rows = [(f"t{n}", e, n % 3, "rock") for n in range(6) for e in range(2)]
    for name in ensemble.MEMBERS:
        table = pd.DataFrame(rows, columns=["track_id", "excerpt", "fold", "y_true"])
        table[["p_rock", "p_pop"]] = rng.dirichlet([1, 1], len(table))
        files.write_table(study / "predictions" / f"{name}.parquet", table.sample(frac=1))
        times = {"training_seconds": 2.0, "training_cpu_seconds": 3.0}
        files.write_json(study / "runs" / f"{name}.json", times)


def test_probabilities_are_the_mean_and_times_the_sum(tmp_path):
    members(tmp_path)
    found, run = ensemble.cross_validate(tmp_path)
    key = ["track_id", "excerpt"]
    parts = [
        pd.read_parquet(tmp_path / "predictions" / f"{name}.parquet").set_index(key)
        for name in ensemble.MEMBERS
    ]
    found = found.set_index(key)
    for column in ("p_rock", "p_pop"):
        mean = (parts[0][column] + parts[1][column]) / 2
        pd.testing.assert_series_equal(found[column].sort_index(), mean.sort_index())
    assert run["training_seconds"] == 4.0 and run["training_cpu_seconds"] == 6.0
    assert files.read_json(tmp_path / "runs" / "ensemble.json") == run


def test_members_that_saw_other_excerpts_are_refused(tmp_path):
    members(tmp_path)
    place = tmp_path / "predictions" / f"{ensemble.MEMBERS[1]}.parquet"
    files.write_table(place, pd.read_parquet(place).iloc[1:])
    with pytest.raises(ValueError, match="did not predict the same excerpts"):
        ensemble.cross_validate(tmp_path)
