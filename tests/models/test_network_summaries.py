"""Tables about networks that were trained, from a stored study."""

import pandas as pd
import pytest

from genre_utils.models import summaries
from genre_utils.workspace.study_folder import StudyFolder
from study_runs import ROOT

STUDY = StudyFolder(ROOT / "reports" / "gtzan-mel")


def test_accuracies_and_intervals_are_those_of_the_results():
    names = ("cnn", "ensemble")
    stored = {name: (STUDY.predictions(name), STUDY.run(name)) for name in names}
    table, known = summaries.accuracy_table(stored, STUDY.groups), STUDY.results["models"]
    for name in names:
        row = table.loc[name]
        assert row["whole tracks"] == pytest.approx(known[name]["accuracy"])
        assert [row["low"], row["high"]] == pytest.approx(known[name]["ci95"]["accuracy"])
        assert row["CPU time (s)"] == pytest.approx(known[name]["training_cpu_seconds"])
    assert table.loc["cnn", "what it is"] == "convolutional network"
    assert table.loc["cnn", "epochs"] == STUDY.run("cnn")["epochs"]


def test_the_surest_mistakes_are_mistakes_and_the_surest_comes_first():
    worst = summaries.surest_mistakes(STUDY.predictions("cnn"))
    assert len(worst) == 3 and (worst["y_true"] != worst["y_pred"]).all()
    sure = worst["probability"].astype(float)
    assert sure.is_monotonic_decreasing and set(worst["probability"].map(len)) == {4}


def test_mistakes_that_read_the_same_are_in_the_order_of_what_they_are():
    names = [f"t{n}" for n in range(4)]
    table = pd.DataFrame(
        {"track_id": names, "y_true": "rock", "p_jazz": [0.9951, 0.9952, 0.9953, 0.9999]}
    )
    table = table.assign(fold=0, excerpt=0, y_pred="jazz", p_rock=1 - table["p_jazz"])
    assert list(summaries.surest_mistakes(table)["track_id"]) == ["t3", "t2", "t1"]
