"""Exchanging features costs where they tell the genre."""

import numpy as np
import pandas as pd

from genre_utils.interpretation import permutation
from genre_utils.models import hyperparameters, training, training_data
from genre_utils.report.sentences import interpretation as told
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


def test_a_fusion_network_is_asked_without_its_spectrogram_and_without_its_features(
    tmp_path, monkeypatch
):
    study = write_small_study(tmp_path)
    data = training_data.load_data(study)
    study.write_model("fusion", study.folds, {})
    model = training.untrained(data, "fusion", hyperparameters.DEFAULTS["fusion"])
    networks = {"fusion": dict.fromkeys(data.fold_numbers, model)}
    monkeypatch.setattr(permutation.attribution, "load_networks", lambda *_: (networks, []))
    table = permutation.importance(study, data)
    assert {*permutation.WHOLE} < {*table["family"]} and table["low"].notna().all()
    assert "`fusion`" in told.parts(table) and "mlp" not in told.parts(table)


def test_what_a_network_rests_on_is_told_by_what_it_loses():
    table = pd.DataFrame({"model": "fusion", "family": permutation.WHOLE, "drop": [0.004, 0.4]})
    table = table.assign(low=[-0.01, 0.3], high=[0.02, 0.5])
    pair = {"a": "fusion", "b": "mlp", "difference": 0.01, "ci95": [-0.02, 0.05]}
    said = told.parts(table, [pair | {"separable": False}]).replace("\N{MINUS SIGN}", "-")
    assert "exchanged, `fusion` loses nothing significant, 0 points (-1 to 2)" in said
    assert "with their features, 40 points (30 to 50): what it knows, it has from the hand" in said
    assert "is 1 point (-2 to 5), which is not significant" in said
    assert told.parts(table.assign(family=["tempo", "chroma"])) == ""
    groups = told.feature_groups(table.assign(family=["tempo", "chroma_cqt"]))
    lost = "With chroma cqt exchanged between tracks, most accuracy is lost: `fusion` 40 points"
    assert groups == f"{lost} (30 to 50)."
    none = told.feature_groups(table[:1].assign(family="tempo"))
    assert none == "`fusion` loses nothing significant with any one feature group exchanged."
