"""Exchanging features costs where they tell the genre."""

import numpy as np

from genre_utils.interpretation import permutation
from genre_utils.models import hyperparameters, training, training_data
from small_study import write_small_study


def test_exchanging_the_family_that_tells_the_genre_costs_the_most(tmp_path):
    study = write_small_study(tmp_path)
    data = training_data.load_data(study)
    assert permutation.importance(study, data).empty
    rock = study.summary["track_id"].str.startswith("rock").to_numpy()
    study.write(summary=study.summary.assign(tempo=study.summary["tempo"] + 3 * rock))
    study.write_model("logistic", study.folds, {})
    table = permutation.importance(study, data).set_index("family")
    assert table.loc["tempo", "drop"] > 0.2 and table.loc["tempo", "low"] > 0
    assert table.loc["brightness", "drop"] == 0 and list(table.index) == ["tempo", "brightness"]


def test_a_fusion_network_predicts_from_its_parts_as_it_does_as_a_whole(tmp_path):
    data = training_data.load_data(write_small_study(tmp_path))
    model = training.untrained(data, "fusion", hyperparameters.DEFAULTS["fusion"])
    _, _, x, predict = permutation._network(model, data, 0)
    rows = data.rows(0)["test"]
    order = np.arange(len(rows))
    np.testing.assert_allclose(predict(x, order), model(data.inputs("fusion", rows)), atol=1e-5)
    other = order[::-1]
    mixed = {"log_mel": data.excerpts[rows][other], "features": x}
    np.testing.assert_allclose(predict(x, other), model(mixed), atol=1e-5)
