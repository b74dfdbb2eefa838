import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from genre_utils.evaluation import calibration, intervals, metrics, scoring, study_results
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder

GENRES = ["rock", "pop", "jazz"]
quick = settings(max_examples=40, deadline=None)
counts = st.lists(st.integers(0, 6), min_size=16, max_size=16).filter(any)


def predicted_table(rng, tracks=60, per_artist=3, genres=GENRES, skill=0.6):
    """Track-level predictions, several tracks per artist, some artists better than others."""
    ids = [f"t{k:03d}" for k in range(tracks)]
    true = np.array(genres)[rng.integers(len(genres), size=tracks)]
    artist = np.arange(tracks) // per_artist
    right = rng.random(tracks) < rng.beta(4 * skill, 4 * (1 - skill), artist.max() + 1)[artist]
    said = np.where(right, true, np.array(genres)[rng.integers(len(genres), size=tracks)])
    table = pd.DataFrame({"track_id": ids, "y_true": true, "y_pred": said})
    return table, pd.Series([f"a{k:02d}" for k in artist], index=ids)


def make_study(folder, models=("cnn", "svm"), group_by="artist", folds=3, seed=0):
    """Write a made-up study: 36 tracks of 12 artists, 3 genres, 2 excerpts each."""
    study = StudyFolder(folder)
    rng = np.random.default_rng(seed)
    ids = [f"t{k:02d}" for k in range(36)]
    genre = ["rock", "pop", "rock", "pop", "rock", "jazz"] * 6
    artist = [f"{genre[k]} artist {k // 9}" for k in range(36)]
    artist[0] = "unknown:t00"
    group = artist if group_by == "artist" else ids
    fold_of = pd.factorize(np.array(group))[0] % folds
    tracks = pd.DataFrame({"track_id": ids, "genre": genre, "artist": artist, "status": "used"})
    parts = [
        {
            **{"track_id": ids[k], "fold": fold, "group": group[k]},
            "part": "test" if fold_of[k] == fold else "train",
        }
        for fold in range(folds)
        for k in range(36)
    ]
    corpus = {"name": "made up", "synthetic": True, "tracks": 36, "artists": 12, "genres": GENRES}
    corpus |= {"sha256": "0" * 64, "group_by": group_by, "protocol": "cv", "folds": folds}
    corpus |= {"banner": None, "warnings": [], "set_aside": 0, "version": None}
    study.write(corpus=corpus, tracks=tracks, folds=pd.DataFrame(parts))
    settings_ = {"learning_rate": 0.001, "batch_size": 32, "hidden_layers": 4}
    run = {"hyperparameters": settings_, "parameters": 10, "epochs": 3, "training_seconds": 90.0}
    for model in models:
        table = made_up_predictions(rng, ids, genre, fold_of)
        study.write_model(model, table, run | {"model": model, "training_cpu_seconds": 150.0})
    return study


def made_up_predictions(rng, ids, genre, fold_of):
    rows = [(k, excerpt) for k in range(len(ids)) for excerpt in range(2)]
    table = pd.DataFrame(
        {
            "track_id": [ids[k] for k, _ in rows],
            "excerpt": [excerpt for _, excerpt in rows],
            "fold": [fold_of[k] for k, _ in rows],
            "y_true": [genre[k] for k, _ in rows],
        }
    )
    chances = rng.dirichlet(np.ones(len(GENRES)), len(table))
    chances += 0.5 * (table["y_true"].to_numpy()[:, None] == np.array(GENRES))
    chances /= chances.sum(axis=1, keepdims=True)
    return table.assign(**{f"p_{name}": chances[:, k] for k, name in enumerate(GENRES)})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def parts(study):
    return study.predictions("cnn"), study.folds, study.tracks


# metrics


@quick
@given(counts)
def test_metrics_equal_scikit_learn(cells):
    confusion = np.reshape(cells, (4, 4))
    true, said = (np.repeat(side.ravel(), cells) for side in np.indices((4, 4)))
    ours = metrics.metrics_from_confusion(confusion)
    labels = range(4)
    for average, prefix in (("macro", ""), (None, "genre_")):
        expected = sk.precision_recall_fscore_support(
            true, said, labels=labels, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), expected[:3], strict=True):
            np.testing.assert_allclose(ours[prefix + name], value, atol=1e-12)
    np.testing.assert_array_equal(ours["support"], expected[3])
    assert ours["accuracy"] == pytest.approx(sk.accuracy_score(true, said))
    for k in labels:
        one = sk.accuracy_score(true == k, said == k)
        assert ours["genre_accuracy"][k] == pytest.approx(one)


@quick
@given(st.lists(counts, min_size=2, max_size=5))
def test_metrics_of_a_stack_are_the_stack_of_metrics(stack):
    stack = np.reshape(stack, (-1, 4, 4))
    together = metrics.metrics_from_confusion(stack)
    for k, confusion in enumerate(stack):
        for name, value in metrics.metrics_from_confusion(confusion).items():
            np.testing.assert_array_equal(together[name][k], value)


@quick
@given(counts)
def test_absent_genre_is_left_out_of_replicates_and_zero_in_scikit_learn(cells):
    confusion = np.reshape(cells, (4, 4))
    confusion[2] = 0  # no true track, but it may be predicted
    assume(confusion.any())
    left_out = metrics.metrics_from_confusion(confusion, absent=np.nan)
    present = confusion.sum(axis=1) > 0
    for name in ("precision", "recall", "f1"):
        by_genre = metrics.metrics_from_confusion(confusion)[f"genre_{name}"]
        assert left_out[name] == pytest.approx(by_genre[present].mean())
        assert np.isnan(left_out[f"genre_{name}"][2])


def test_group_confusions_hold_every_track_once_and_in_its_group():
    table, groups = predicted_table(np.random.default_rng(1))
    found = metrics.group_confusions(table.sample(frac=1, random_state=0), groups, GENRES)
    for k, name in enumerate(sorted(set(groups))):
        mine = table[table["track_id"].map(groups) == name]
        expected = sk.confusion_matrix(mine["y_true"], mine["y_pred"], labels=GENRES)
        np.testing.assert_array_equal(found[k], expected)


@pytest.mark.parametrize("defect", ["group", "genre"])
def test_group_confusions_refuses_what_it_cannot_place(defect):
    table, groups = predicted_table(np.random.default_rng(1))
    genres = GENRES[:2] if defect == "genre" else GENRES
    groups = groups[1:] if defect == "group" else groups
    with pytest.raises(ValueError, match="no group, or a genre outside"):
        metrics.group_confusions(table, groups, genres)


def test_track_probabilities_average_excerpts_and_break_ties_by_genre_order():
    table = pd.DataFrame(
        {
            **{"track_id": ["b", "a", "a"], "excerpt": [0, 1, 0], "fold": [1, 0, 0]},
            "y_true": ["pop", "rock", "rock"],
            "p_rock": np.array([0.25, 0.25, 0.75], dtype="float32"),
            "p_pop": np.array([0.75, 0.75, 0.25], dtype="float32"),
        }
    )
    tracks = scoring.track_probabilities(table)
    assert list(tracks.columns) == ["track_id", "fold", "y_true", "p_rock", "p_pop", "y_pred"]
    assert tracks["track_id"].tolist() == ["a", "b"]
    assert tracks["p_rock"].tolist() == [0.5, 0.25]
    assert tracks["y_pred"].tolist() == ["rock", "pop"]
    pd.testing.assert_frame_equal(tracks, scoring.track_probabilities(table[::-1]))


# intervals


@pytest.mark.parametrize("seed", range(5))
def test_intervals_are_ordered_in_the_unit_range_and_around_the_estimate(seed):
    table, groups = predicted_table(np.random.default_rng(seed), tracks=120)
    confusions = metrics.group_confusions(table, groups, GENRES)
    point = metrics.metrics_from_confusion(confusions.sum(axis=0))
    found = metrics.metric_intervals(confusions)
    assert set(found) == set(point) - {"support"}
    for name, (low, high) in found.items():
        assert np.all((low > 0) & (low < point[name]) & (point[name] < high) & (high < 1))


def test_intervals_are_those_of_the_predictions_counted_one_by_one():
    table, groups = predicted_table(np.random.default_rng(2))
    found = metrics.metric_intervals(metrics.group_confusions(table, groups, GENRES))
    group, right = table["track_id"].map(groups), table["y_true"] == table["y_pred"]
    expected = intervals.accuracy_interval(right, group)
    np.testing.assert_allclose(found["accuracy"], expected)
    for k, genre in enumerate(GENRES):
        for name, side in (("recall", "y_true"), ("precision", "y_pred")):
            here = table[side] == genre
            expected = intervals.accuracy_interval(right[here], group[here])
            np.testing.assert_allclose(found[f"genre_{name}"][:, k], expected)
        against_rest = (table["y_true"] == genre) == (table["y_pred"] == genre)
        expected = intervals.accuracy_interval(against_rest, group)
        np.testing.assert_allclose(found["genre_accuracy"][:, k], expected)


def test_intervals_of_many_studies_at_once_are_those_of_each():
    tables = (predicted_table(np.random.default_rng(seed)) for seed in range(3))
    stack = np.stack([metrics.group_confusions(*pair, GENRES) for pair in tables])
    together = metrics.metric_intervals(stack)
    for number, confusions in enumerate(stack):
        for name, limits in metrics.metric_intervals(confusions).items():
            np.testing.assert_allclose(together[name][:, number], limits)


def test_nothing_is_known_of_a_genre_without_tracks_and_little_of_one_without_errors():
    confusions = np.zeros((8, 2, 2), dtype=int)
    confusions[:, 0, 0] = 3
    found = metrics.metric_intervals(confusions)
    assert found["genre_recall"][:, 1].tolist() == [0, 1]
    low, high = found["genre_recall"][:, 0]
    assert low == pytest.approx(0.025 ** (1 / 8)) and high == 1
    one_artist = metrics.metric_intervals(confusions[:1])["accuracy"]
    assert one_artist[0] == pytest.approx(0.025) and one_artist[1] == 1


# validation


def spoil_missing(predictions, folds, tracks):
    return predictions[predictions["track_id"] != "t05"], folds, tracks


def spoil_twice(predictions, folds, tracks):
    return pd.concat([predictions, predictions[:1]]), folds, tracks


def spoil_fold(predictions, folds, tracks):
    return (
        predictions.assign(fold=predictions["fold"].mask(predictions.index == 4, 7)),
        folds,
        tracks,
    )


def spoil_stranger(predictions, folds, tracks):
    more = predictions[:1].assign(track_id="stranger")
    return pd.concat([predictions, more]), folds, tracks


def spoil_nan(predictions, folds, tracks):
    return (
        predictions.assign(p_pop=predictions["p_pop"].mask(predictions.index == 4)),
        folds,
        tracks,
    )


def spoil_negative(predictions, folds, tracks):
    predictions.loc[4, ["p_rock", "p_pop", "p_jazz"]] = [0.6, -0.2, 0.6]
    return predictions, folds, tracks


def spoil_sum(predictions, folds, tracks):
    return predictions.assign(p_pop=predictions["p_pop"] * 0.9), folds, tracks


def spoil_genre(predictions, folds, tracks):
    return predictions.assign(y_true=predictions["y_true"].replace("pop", "polka")), folds, tracks


def spoil_truth(predictions, folds, tracks):
    return predictions.assign(y_true=predictions["y_true"].to_numpy()[::-1]), folds, tracks


def spoil_columns(predictions, folds, tracks):
    return predictions.rename(columns={"p_pop": "p_rock", "p_rock": "p_pop"}), folds, tracks


def spoil_empty(predictions, folds, tracks):
    return predictions[:0], folds, tracks


def spoil_tested_twice(predictions, folds, tracks):
    return predictions, folds.assign(part="test"), tracks


def spoil_untested(predictions, folds, tracks):
    part = folds["part"].mask(folds["track_id"] == "t05", "train")
    return predictions[predictions["track_id"] != "t05"], folds.assign(part=part), tracks


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_missing, r"^1 test tracks without a prediction \(first: t05\)\. Train"),
        (spoil_twice, r"1 excerpts predicted twice \(first: t00\)"),
        (spoil_fold, r"1 excerpts not from their test fold \(first: t02\)"),
        (spoil_stranger, "tracks that are in no test fold"),
        (spoil_nan, r"1 excerpts with a probability that is not a number in \[0, 1\]"),
        (spoil_negative, r"1 excerpts with a probability that is not a number in \[0, 1\]"),
        (spoil_sum, "72 excerpts whose probabilities do not sum to 1"),
        (spoil_genre, "24 excerpts of a genre not in"),
        (spoil_truth, "excerpts whose genre is not their track's"),
        (spoil_columns, "72 rows with columns"),
        (spoil_empty, "0 rows with columns"),
        (spoil_tested_twice, "36 tracks tested in several folds .* Run notebook 01 again"),
        (spoil_untested, r"1 tracks tested in no fold \(first: t05\)"),
    ],
)
def test_check_predictions_names_each_defect(parts, spoil, message):
    scoring.check_predictions(*parts, GENRES)
    with pytest.raises(ValueError, match=message):
        scoring.check_predictions(*spoil(*parts), GENRES)


def test_check_predictions_wants_only_the_test_part_of_a_fixed_split(parts):
    predictions, folds, tracks = parts
    fixed = folds[folds["fold"] == 0]
    tested = predictions["track_id"].isin(fixed.loc[fixed["part"] == "test", "track_id"])
    scoring.check_predictions(predictions[tested], fixed, tracks, GENRES)
    with pytest.raises(ValueError, match="in no test fold"):
        scoring.check_predictions(predictions, fixed, tracks, GENRES)


# one model, one study


def test_evaluate_agrees_with_scikit_learn_on_the_tracks(study, parts):
    found = files.plain(scoring.evaluate(study, parts[0]))
    tracks = scoring.track_probabilities(parts[0])
    true, said = tracks["y_true"], tracks["y_pred"]
    assert found["accuracy"] == sk.accuracy_score(true, said)
    report = sk.classification_report(true, said, output_dict=True, zero_division=0)
    for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
        assert found[ours] == pytest.approx(report["macro avg"][theirs])
        assert found["weighted"][ours] == pytest.approx(report["weighted avg"][theirs])
        for genre in GENRES:
            assert found["per_genre"][genre][ours] == pytest.approx(report[genre][theirs])
    confusion = sk.confusion_matrix(true, said, labels=GENRES)
    assert found["confusion"] == confusion.tolist()
    assert found["scored_tracks"] == confusion.sum() == 36
    assert found["scored_groups"] == 13
    excerpts = scoring.most_probable(parts[0])
    assert found["excerpt_accuracy"] == (excerpts["y_true"] == excerpts["y_pred"]).mean()
    assert set(found["ci95"]) == {*metrics.METRICS, "excerpt_accuracy"}
    confusions = metrics.group_confusions(tracks, study.groups, GENRES)
    expected = metrics.metric_intervals(confusions)
    for k, genre in enumerate(GENRES):
        for name in metrics.METRICS:
            limits = expected[f"genre_{name}"][:, k].tolist()
            assert found["per_genre"][genre]["ci95"][name] == limits


def test_known_artists_leave_out_the_others(tmp_path):
    study = make_study(tmp_path)
    predictions, tracks = study.predictions("cnn"), study.tracks
    scored = scoring.track_probabilities(predictions)[1:]  # t00 has no known artist
    found = scoring.evaluate(study, predictions)["known_artists"]
    assert found["tracks"] == 35
    assert found["accuracy"] == (scored["y_true"] == scored["y_pred"]).mean()
    artist = tracks.set_index("track_id").loc[scored["track_id"], "artist"]
    expected = intervals.accuracy_interval(scored["y_true"] == scored["y_pred"], artist)
    assert found["ci95"].tolist() == expected.tolist()
    study.write(tracks=tracks.assign(artist="someone"))
    assert scoring.evaluate(study, predictions)["known_artists"] is None
    study.write(tracks=tracks.assign(artist="unknown:" + tracks["track_id"]))
    none = scoring.evaluate(study, predictions)["known_artists"]
    assert files.plain(none) == {"accuracy": None, "ci95": None, "tracks": 0}


def test_results_hold_the_contract_and_are_the_same_again(study):
    (study.path / "predictions" / "rnn.parquet").write_bytes(b"no run record: not finished")
    study.write(results=study_results.results(study, "made up"))
    found = study.results
    assert study_results.results(study, "made up") == found
    assert {"profile", "corpus", "protocol", "models", "pairwise"} < set(found)
    assert list(found["models"]) == ["cnn", "svm"]
    assert found["profile"] == "made up" and found["protocol"] == "cv"
    assert found["corpus"]["synthetic"] is True and found["corpus"]["group_by"] == "artist"
    assert set(found["environment"]) >= {"python", "tensorflow", "keras", "librosa", "cpu"}
    assert found["environment"]["threads"] >= 1
    assert found["leakage"] is None
    cnn, svm = found["models"]["cnn"], found["models"]["svm"]
    assert cnn["training_seconds"] == 90.0 and cnn["training_cpu_seconds"] == 150.0
    assert cnn["hyperparameters"]["hidden_layers"] == 4
    (pair,) = found["pairwise"]
    assert pair["difference"] == cnn["accuracy"] - svm["accuracy"]
    assert pair["primary"] is False and pair["p_holm"] is None
    assert [row["a"] for row in found["power"]] == [] if pair["separable"] else ["cnn"]


def test_accuracy_is_told_apart_for_each_part_of_the_corpus_s_own_split(tmp_path):
    study = make_study(tmp_path)
    tracks = study.tracks.assign(split="")
    study.write(tracks=tracks)
    assert study_results.accuracy_by_split(study).empty
    tracks["split"] = np.where(np.arange(len(tracks)) % 3 == 0, "valid", "train")
    study.write(tracks=tracks)
    parts = study_results.accuracy_by_split(study).set_index(["model", "part"])
    assert [*parts.index] == [(m, p) for m in ("cnn", "svm") for p in ("train", "valid")]
    table = scoring.track_probabilities(study.predictions("svm"))
    own = tracks.loc[tracks["split"] == "valid", "track_id"]
    table = table[table["track_id"].isin(own)]
    share = sk.accuracy_score(table["y_true"], table["y_pred"])
    found = parts.loc["svm", "valid"]
    assert found["tracks"] == len(own) and found["accuracy"] == pytest.approx(share)
    assert found["low"] <= share <= found["high"]


def with_temperatures(study, temperatures):
    folds = [{"fold": k, "temperature": value} for k, value in enumerate(temperatures)]
    study.write_model("cnn", study.predictions("cnn"), study.run("cnn") | {"folds": folds})


def test_calibration_scales_each_fold_by_its_own_temperature(tmp_path):
    study = make_study(tmp_path, models=("cnn",))
    with_temperatures(study, [0.5, 1.0, 4.0])
    found = study_results.results(study, "made up")["models"]["cnn"]["calibration"]
    assert found["temperatures"] == [0.5, 1.0, 4.0] and found["not_scaled"] is None
    tracks = scoring.track_probabilities(study.predictions("cnn"))
    p, true = scoring.probabilities(tracks)
    assert true.tolist() == [GENRES.index(name) for name in tracks["y_true"]]
    scaled = [
        calibration.apply_temperature(row, [0.5, 1.0, 4.0][fold])
        for fold, row in zip(tracks["fold"], p, strict=True)
    ]
    for state, values in (("before", p), ("after", scaled)):
        expected = sk.log_loss(true, values, labels=[0, 1, 2])
        assert found[state]["cross_entropy"]["value"] == pytest.approx(expected)
    change = found["after"]["cross_entropy"]["value"] - found["before"]["cross_entropy"]["value"]
    assert found["cross_entropy_change"]["value"] == pytest.approx(change)


@pytest.mark.parametrize(
    ("temperatures", "why"), [((1.0, None, 2.0), "inner validation"), ((), "no temperature")]
)
def test_what_was_not_scaled_says_why(tmp_path, temperatures, why):
    study = make_study(tmp_path, models=("cnn",))
    with_temperatures(study, temperatures)
    found = study_results.results(study, "made up")["models"]["cnn"]["calibration"]
    assert found["after"] is None and found["temperatures"] is None and why in found["not_scaled"]


def test_results_say_whose_predictions_are_wrong(tmp_path):
    study = make_study(tmp_path)
    table = study.predictions("svm")[1:].replace("t05", "t06")
    study.write_model("svm", table, study.run("svm"))
    with pytest.raises(ValueError, match=r"predictions of svm: .* predicted twice"):
        study_results.results(study, "made up")


def test_results_without_a_finished_model_say_what_to_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="Run notebook"):
        study_results.results(make_study(tmp_path, models=()), "made up")


def test_results_grouped_by_track_say_so(tmp_path):
    study = make_study(tmp_path, group_by="track")
    found = study_results.results(study, "made up")
    assert found["pairwise"][0]["test"] == "sign-flip permutation over tracks"
    assert found["models"]["cnn"]["scored_groups"] == 36


def test_models_come_in_the_papers_order_then_by_name(tmp_path):
    names = ["zebra", "svm", "cnn_tuned", "hybrid", "rnn", "cnn"]
    study = make_study(tmp_path, models=names)
    expected = ["cnn", "cnn_tuned", "rnn", "hybrid", "svm", "zebra"]
    assert study.finished() == expected


def test_leakage_reports_each_split_with_its_interval(tmp_path):
    study = make_study(tmp_path, models=("cnn",))
    table = study.predictions("cnn")
    cheat = table.copy()
    cheat[["p_rock", "p_pop", "p_jazz"]] = [
        [float(name == true) for name in GENRES] for true in table["y_true"]
    ]
    place = study.measurements("leakage")
    files.write_table(place / "svm_segment.parquet", cheat[::-1])
    files.write_table(place / "svm_artist.parquet", table)
    found = study_results.leakage(study)
    own = scoring.evaluate(study, table)
    assert found["segment"] == 1 and 0.5 < found["ci95"]["segment"][0] < found["ci95"]["segment"][1]
    assert found["track"] is None and "track" not in found["ci95"]
    assert found["artist"] == own["excerpt_accuracy"]
    assert found["ci95"]["artist"] == pytest.approx(own["ci95"]["excerpt_accuracy"])
    (pair,) = found["pairwise"]
    assert pair["difference"] == 1 - found["artist"] and pair["ci95"][0] > 0
    files.write_table(place / "svm_track.parquet", table[2:])
    with pytest.raises(ValueError, match="2 excerpts missing in a leakage split"):
        study_results.leakage(study)


def test_plain_is_what_json_holds():
    value = {"a": np.float64("nan"), "b": (np.int64(1), [[1], [2, 3]]), "c": np.array([0.5])}
    assert files.plain(value) == {"a": None, "b": [1, [[1], [2, 3]]], "c": [0.5]}
