"""Interpretation: maps that point where the genre was planted, and relations known beforehand."""

import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from genre_utils.evaluation import resampling, scoring
from genre_utils.interpretation import attribution, genre_relations, permutation, summaries
from genre_utils.models import cross_validation, hyperparameters, training, training_data
from genre_utils.plots import interpretation as interpretation_plots
from genre_utils.report.sentences import interpretation as interpretation_sentences
from genre_utils.workspace import files
from small_study import write_small_study

matplotlib.use("agg")
NAN = re.compile(r"\bnan\b")
MOMENT, BANDS = slice(8, 12), slice(16, 24)  # of 32 frames and bands: what makes rock rock


@pytest.fixture(scope="module", name="planted")
def planted_fixture(tmp_path_factory):
    """A study of noise whose rock is told by one moment in a few bands, with a trained CNN."""
    study = write_small_study(tmp_path_factory.mktemp("planted"))
    rock = pd.read_parquet(study / "tracks.parquet")["genre"].to_numpy() == "rock"
    sound = np.random.default_rng(0).random((len(rock), 5, 32, 32), dtype=np.float32)
    sound[rock, :, MOMENT, BANDS] += 1.0
    np.save(study / "features.npy", sound.reshape(len(rock), 160, 32))
    index = pd.read_parquet(study / "features.parquet").assign(frames=160)
    files.write_table(study / "features.parquet", index)
    described = files.read_json(study / "features.json") | {"excerpt_seconds": 3.2}
    files.write_json(study / "features.json", described)
    folds = pd.read_parquet(study / "folds.parquet")
    files.write_table(study / "folds.parquet", folds[folds["fold"] == 0])
    cross_validation.cross_validate(study, "cnn", epochs=8)
    return study


@pytest.fixture(scope="module", name="data")
def data_fixture(planted):
    return training_data.load_data(planted)


@pytest.fixture(scope="module", name="cnn")
def cnn_fixture(planted):
    networks, missing = attribution.load_networks(planted, ["cnn"])
    assert not missing
    return networks["cnn"]


@pytest.fixture(scope="module", name="maps")
def maps_fixture(data, cnn):
    """Maps of rock alone: what noise speaks for is anyone's guess."""
    rows = attribution.examples(data, scoring.groups_of(data.folds), 6)
    return attribution.listen(cnn, data, rows[data.y[rows] == 1])


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def concentration(maps):
    """How many times as much of the positive values lies at the planted place as by area."""
    positive = np.maximum(maps, 0)
    inside = positive[:, MOMENT, BANDS]
    return (inside.sum() / positive.sum()) / (inside.size / positive.size)


def peak(maps):
    return np.unravel_index(maps.mean(axis=0).argmax(), maps.shape[1:])


def is_planted(place):
    return place[0] in range(8, 12) and place[1] in range(16, 24)


# ------------------------------------------------------------------ what a network listens to


def test_integrated_gradients_point_at_what_was_planted_and_sum_to_the_evidence(maps):
    assert is_planted(peak(maps.gradients)) and concentration(maps.gradients) > 5
    missed = maps.gain - maps.gradients.sum(axis=(1, 2))
    assert (maps.gain > 0).all() and abs(missed).mean() < 0.02 * maps.gain.mean()


def test_hiding_costs_most_at_the_planted_bands_and_moment(maps):
    lost_by = maps.regions.mean(axis=0), maps.moments.mean(axis=0)
    bands = np.arange(32).reshape(attribution.REGIONS, -1)
    assert set(bands[lost_by[0].argmax()]) < set(range(16, 24))
    moments = attribution.parts_of(32, attribution.MOMENTS)
    assert moments[lost_by[1].argmax()][MOMENT].any()


def test_grad_cam_points_at_what_was_planted(data, cnn, maps):
    cams = [
        attribution.grad_cam(
            model, data.inputs("cnn", maps.rows[places]), data.y[maps.rows[places]]
        )
        for _, model, places in attribution.by_fold(cnn, data, maps.rows)
    ]
    cams = np.concatenate(cams)
    assert cams.shape[1:] == (32, 32) and cams.min() >= 0
    frame, band = peak(cams)  # a place of the last convolution is 4 frames and 8 bands wide
    assert abs(frame - 9.5) <= 4 and abs(band - 19.5) <= 8
    assert concentration(cams) > 2


def test_maps_of_random_weights_are_other_maps(data, cnn, maps):
    found = attribution.checks(cnn, data, maps)
    assert abs(found["gradients"]) < 0.3 and found["completeness"] < 0.02
    assert found["top"] > 2 * found["random"] and found["top"] > 0.3 * maps.gain.mean()
    blank = attribution.randomised(cnn[0])
    x = data.excerpts[:1]
    normalised = [model.layers[1](x).numpy() for model in (cnn[0], blank)]
    np.testing.assert_array_equal(*normalised)  # the input's statistics are kept
    assert not np.allclose(cnn[0](x), blank(x))


def test_every_excerpt_is_explained_by_the_network_that_never_met_its_track(tmp_path):
    data = training_data.load_data(write_small_study(tmp_path))
    networks = {0: "network of fold 0", 1: "network of fold 1"}
    rows = np.arange(len(data.table))
    met = data.folds[data.folds["part"] != "test"].groupby("fold")["track_id"].agg(set)
    seen = []
    for fold, model, places in attribution.by_fold(networks, data, rows):
        assert model == networks[fold]
        assert not met[fold] & set(data.table["track_id"].iloc[places])
        seen.extend(places)
    assert sorted(seen) == list(rows)


def test_networks_that_are_not_here_are_named(planted, tmp_path):
    assert attribution.choose_networks(planted) == ["cnn"]
    with pytest.raises(ValueError, match="hybrid, which this study has no results of"):
        attribution.choose_networks(planted, ["hybrid"])
    (tmp_path / "runs").mkdir()
    files.write_json(tmp_path / "runs/cnn.json", files.read_json(planted / "runs/cnn.json"))
    files.write_table(tmp_path / "folds.parquet", pd.read_parquet(planted / "folds.parquet"))
    assert attribution.load_networks(tmp_path, ["cnn"]) == ({}, ["cnn"])


@pytest.mark.parametrize("name", ["fusion", "rnn", "cnn1d"])
def test_networks_of_every_shape_can_be_explained(data, name):
    model = training.untrained(data, name, hyperparameters.DEFAULTS[name])
    rows = np.arange(3)
    x, start = data.inputs(name, rows), attribution.baseline(data, name, 0)
    shared = attribution.integrated_gradients(model, x, start, data.y[rows])
    whole = sum(
        part.reshape(3, -1).sum(axis=1)
        for part in (shared.values() if isinstance(shared, dict) else [shared])
    )
    gained = attribution.gain(model, x, start, data.y[rows])
    np.testing.assert_allclose(whole, gained, atol=0.02 * abs(gained).max())
    probabilities = model(x).numpy()
    logs = np.log(probabilities)
    evidence = attribution.outputs(attribution.evidence_model(model), x)
    np.testing.assert_allclose(evidence, logs - logs.mean(axis=1, keepdims=True), atol=1e-4)
    if name == "rnn":
        with pytest.raises(ValueError, match="no convolution"):
            attribution.grad_cam(model, x, data.y[rows])
    else:
        cams = attribution.grad_cam(model, x, data.y[rows])
        assert cams.shape == (3, 32, 32)
        assert name == "fusion" or not np.ptp(cams, axis=2).any()  # over time alone


@pytest.mark.parametrize("name", ["fusion", "rnn"])
def test_what_hiding_costs_is_found_for_each_mask_and_excerpt_by_itself(data, name):
    model = training.untrained(data, name, hyperparameters.DEFAULTS[name])
    rows = np.array([0, 5, 9])
    x, start, genre = data.inputs(name, rows), attribution.baseline(data, name, 0), data.y[rows]
    masks = [np.arange(32) < 8, (np.arange(32) > 20)[:, np.newaxis], np.zeros((3, 32, 32), bool)]
    masks[2][1] = True  # of one excerpt all, of the others nothing
    lost = attribution.occlusion(model, x, start, genre, masks)
    before = attribution.gain(model, x, start, genre)
    for place, mask in enumerate(masks):
        after = attribution.gain(model, attribution.hide(x, start, mask), start, genre)
        np.testing.assert_allclose(lost[:, place], before - after, atol=1e-5)
    assert abs(lost[1, 2]) > 1e-3 > abs(lost[[0, 2], 2]).max()


def test_examples_are_middle_excerpts_of_many_artists(data):
    groups = scoring.groups_of(data.folds)
    rows = attribution.examples(data, groups, 3, seed=1)
    chosen = data.table.iloc[rows]
    assert (chosen["excerpt"] == 2).all() and chosen["track_id"].is_unique
    assert chosen["track_id"].map(groups).nunique() == 6  # all that are tested, before any again


@given(st.integers(1, 200), st.integers(1, 12))
def test_parts_of_an_axis_are_even_and_leave_nothing_out(size, count):
    parts = np.array(attribution.parts_of(size, count))
    assert (parts.sum(axis=0) == 1).all() and np.ptp(parts.sum(axis=1)) <= 1
    assert (np.diff(parts.argmax(axis=0)) >= 0).all() and len(parts) == min(size, count)


# ------------------------------------------------------------------ handcrafted features


def test_exchanging_the_family_that_tells_the_genre_costs_the_most(planted, data):
    summary = pd.read_parquet(planted / "summary.parquet")
    rock = summary["track_id"].str.startswith("rock").to_numpy()
    files.write_table(
        planted / "summary.parquet", summary.assign(tempo=summary["tempo"] + 3 * rock)
    )
    answers = permutation.exchange_families(planted, data, {}, ["logistic"])
    groups = scoring.groups_of(data.folds)
    table = summaries.importance(answers, groups).set_index("family")
    assert table.loc["tempo", "drop"] > 0.2 and table.loc["tempo", "low"] > 0
    assert table.loc["brightness", "drop"] == 0 and list(table.index) == ["tempo", "brightness"]
    words = interpretation_sentences.importance(table.reset_index())
    assert "tempo" in words and "brightness" not in words


def test_a_fusion_network_answers_from_its_parts_as_it_does_as_a_whole(data):
    model = training.untrained(data, "fusion", hyperparameters.DEFAULTS["fusion"])
    _, _, x, says = permutation._network_judge(model, data, 0)
    rows = training_data.fold_rows(data, 0)["test"]
    order = np.arange(len(rows))
    np.testing.assert_allclose(says(x, order), model(data.inputs("fusion", rows)), atol=1e-5)
    other = order[::-1]
    mixed = {"log_mel": data.excerpts[rows][other], "features": x}
    np.testing.assert_allclose(says(x, other), model(mixed), atol=1e-5)


# ------------------------------------------------------------------ summaries


def test_bands_lie_between_their_boundaries():
    import librosa

    boundaries = summaries.mel_boundaries(64, 22_050)
    peaks = librosa.mel_frequencies(66, fmin=0, fmax=11_025)[1:-1]
    assert (boundaries[:-1] < peaks).all() and (peaks < boundaries[1:]).all()
    owner = np.stack(attribution.parts_of(64, 8)).argmax(axis=0)
    assert summaries.part_names(owner, boundaries)[-1].endswith(" to 11,000 Hz")
    assert summaries.mel_boundaries(64, 0) is None
    assert summaries.part_names(owner, None)[1] == "bands 9 to 16"


def test_shares_do_not_depend_on_how_sure_a_network_is():
    rng = np.random.default_rng(0)
    values, y, groups = rng.normal(1, 1, (40, 4)), np.repeat([0, 1], 20), np.arange(40) // 2
    table, tenfold = (
        summaries.shares(factor * values, y, groups, ["a", "b"]) for factor in (1, 10)
    )
    pd.testing.assert_frame_equal(table, tenfold)
    np.testing.assert_allclose(abs(table["share"]).groupby(table["genre"]).sum(), 1)
    assert (table["low"] < table["share"]).all() and (table["share"] < table["high"]).all()


def test_what_is_let_through_of_a_sound_is_what_the_map_points_to():
    sr, weights = 22_050, np.zeros((65, 64))
    weights[:, 40:44] = 1
    boundaries = summaries.mel_boundaries(64, sr)
    noise = np.random.default_rng(0).normal(size=3 * sr).astype(np.float32)
    y = summaries.filtered(noise, weights, sr, 1024)
    power, hertz = abs(np.fft.rfft(y)) ** 2, np.fft.rfftfreq(len(y), 1 / sr)
    inside = (hertz > boundaries[37]) & (hertz < boundaries[47])
    assert len(y) == len(noise) and power[inside].sum() > 0.9 * power.sum()


# ------------------------------------------------------------------ how genres relate


def made_up(said, true, groups=None, genres=("jazz", "pop", "rock")):
    """Answers that give 0.8 to what each model says, (models, tracks)."""
    said, count = np.asarray(said), len(genres)
    p = np.full((*said.shape, count), 0.2 / (count - 1))
    np.put_along_axis(p, said[..., np.newaxis], 0.8, axis=2)
    names = [genres[k] for k in true]
    groups = range(len(true)) if groups is None else groups
    ids = [f"t{k:03d}" for k in range(len(true))]
    tracks = pd.DataFrame({"track_id": ids, "fold": 0, "y_true": names, "group": groups})
    tracks = tracks.assign(artist=tracks["group"].astype(str))
    return genre_relations.Answers([f"m{k}" for k in range(len(said))], list(genres), tracks, p)


def test_confusions_are_counted_both_ways():
    answers = made_up([[0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 1]], [0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(
        genre_relations.confusion(answers), [[0.75, 0.25, 0], [0, 1, 0], [0, 0.25, 0.75]]
    )
    pairs = genre_relations.confused_pairs(answers)
    assert list(pairs["confused"]) == [0.125, 0.125, 0]
    first = pairs.iloc[0]
    assert (first["a"], first["b"], first["a_as_b"], first["b_as_a"]) == ("jazz", "pop", 0.25, 0)
    assert "mostly jazz heard as pop (25% against 0%)" in interpretation_sentences.confusion(pairs)
    untested = genre_relations.confused_pairs(made_up([[0, 0, 1, 2]], [0, 0, 1, 1]))
    assert "least" not in interpretation_sentences.confusion(untested)  # no track of rock


@given(st.integers(0, 1000))
def test_genre_distance_is_0_where_genres_are_mixed_and_1_where_they_are_points(seed):
    rng = np.random.default_rng(seed)
    true, groups = np.repeat([0, 1, 2], 20), np.repeat(np.arange(30), 2)
    mixed = np.tile(np.repeat(rng.normal(size=(10, 3)), 2, axis=0), (3, 1))  # same in each genre
    for places, expected in ((mixed, 0.0), (5.0 * np.eye(3)[true], 1.0)):
        distances = np.linalg.norm(places[:, np.newaxis] - places, axis=2)
        summed = genre_relations.artist_distances(distances, true, groups)
        found = genre_relations.genre_distances(*summed, 3)
        np.testing.assert_allclose(found, found.T)
        assert (found >= 0).all() and (found <= 1).all() and not np.diag(found).any()
        off = found[~np.eye(3, dtype=bool)]
        np.testing.assert_allclose(off, expected)
        again = genre_relations.genre_distances(*summed, 3, np.full(30, 2.0))
        np.testing.assert_allclose(found, again, atol=1e-12)


def test_the_tree_joins_the_genres_that_are_confused_and_leaves_out_those_of_one_artist():
    rng = np.random.default_rng(0)
    true = np.repeat([0, 1, 2, 3], 20)
    said = np.where(true < 2, rng.integers(0, 2, (5, 80)), true)
    groups = np.where(true == 3, 99, np.arange(80) // 2)
    answers = made_up(said, true, groups, ("a", "b", "c", "d"))
    tree = genre_relations.genre_tree(answers)
    assert tree.genres == ["a", "b", "c"] and set(tree.linkage[0, :2]) == {0, 1}
    assert tree.nearest_support > 0.95 and tree.distances[0, 2] > 0.5 > tree.distances[0, 1]
    words = interpretation_sentences.tree(tree, answers.genres)
    assert "a and b are nearest" in words and "Left out, with one artist each: d." in words
    alone = made_up(said, true, true, ("a", "b", "c", "d"))
    assert genre_relations.genre_tree(alone) is None


def test_foreign_neighbours_are_counted_within_folds():
    answers = made_up(np.zeros((1, 8), dtype=int), [0, 1, 2, 2, 0, 1, 2, 2])
    places = np.array([0.0, 1.0, 5.0, 9.0, 100.0, 101.0, 105.0, 109.0])
    index = pd.MultiIndex.from_arrays(
        [[0] * 4 + [1] * 4, answers.tracks["track_id"]], names=["fold", "track_id"]
    )
    table = genre_relations.foreign_neighbours(pd.DataFrame({"x": places}, index), answers)
    # by chance jazz would meet pop once in three; here always
    assert table.loc["jazz", "pop"] == 3 and table.loc["jazz", "rock"] == 0
    assert table.loc["rock", "pop"] == 2 and np.isnan(table.loc["pop", "pop"])
    assert "jazz and pop" in interpretation_sentences.neighbours({"cnn": table})


def test_models_that_fail_alike_agree_beyond_chance():
    true = np.array([0, 1, 2] * 10)
    one = np.where(np.arange(30) < 6, (true + 1) % 3, true)
    other = np.where(np.arange(30) >= 24, (true + 1) % 3, true)
    table = genre_relations.agreement(made_up([one, one, other], true)).set_index(["a", "b"])
    assert table.loc[("m0", "m1"), "consistency"] == 1 and table.loc[("m0", "m1"), "kappa"] == 1
    assert table.loc[("m0", "m2"), "consistency"] == pytest.approx(-0.25)
    perfect = genre_relations.agreement(made_up([true, true], true))
    assert np.isnan(perfect["consistency"]).all() and perfect["kappa"].eq(1).all()


def test_unanimous_errors_are_compared_with_what_chance_would_give():
    true = np.repeat([0, 1, 2], 4)
    said = np.tile(true, (3, 1))
    said[:, 0] = [1, 1, 2]  # wrong for all, who differ
    said[:, 4] = 2
    said[0, 5] = 0
    answers = made_up(said, true)
    table = genre_relations.unanimous_errors(answers)
    assert list(table["track_id"]) == ["t004", "t000"]
    assert list(table["votes"]) == [3, 2] and list(table["heard_as"]) == ["rock", "pop"]
    expected = 4 * 0.25**3 + 4 * 0.5 * 0.25**2
    assert genre_relations.expected_unanimous(answers) == pytest.approx(expected)
    words = interpretation_sentences.unanimous(answers, table, {"t004": "the same sound"})
    assert "put 2 of 12 tracks" in words and "the known faults include t004." in words


def test_published_faults_are_looked_up_for_gtzan_alone():
    assert genre_relations.known_faults(["rock/a.wav", "rock.00016"]) is None
    found = genre_relations.known_faults(["rock.00016", "rock.00017"])
    assert found == {"rock.00016": "the same sound under two genres"}


@given(st.integers(0, 1000))
def test_the_border_of_a_track_is_where_the_other_models_put_it(seed):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, 12)
    answers = made_up(rng.integers(0, 3, (3, 12)), true)
    before = genre_relations.doubt(answers)
    answers.p[0] = rng.dirichlet(np.ones(3), 12)
    after = genre_relations.doubt(answers)
    for what in ("border", "split"):
        np.testing.assert_array_equal(before[what][0], after[what][0])
    assert (before["border"] >= 0).all() and (before["split"] < 1).all()
    assert not np.array_equal(before["entropy"][0], after["entropy"][0])


def test_rank_correlation_is_spearmans_mean_over_models():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 50))
    y = x + rng.normal(size=(2, 50))
    value, low, high = resampling.rank_correlation(x, y, np.arange(50) // 2)
    expected = np.mean([spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)])
    assert value == pytest.approx(expected) and low < value < high
    assert np.isnan(resampling.rank_correlation(x, 0 * y, np.arange(50))[0])


# ------------------------------------------------------------------ pictures and sentences


@pytest.mark.parametrize(("genres", "count"), [(2, 1), (2, 2), (10, 4)])
def test_any_number_of_genres_and_models_is_drawn_and_told(genres, count):
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(genres), 6)
    said = np.where(rng.random((count, len(true))) < 0.6, true, rng.integers(0, genres, len(true)))
    answers = made_up(said, true, np.arange(len(true)) // 2, [f"genre {k}" for k in range(genres)])
    tree, wrong = genre_relations.genre_tree(answers), genre_relations.unanimous_errors(answers)
    interpretation_plots.genre_tree(tree)
    interpretation_plots.confusion_shares(genre_relations.confusion(answers), answers.genres)
    places, explained = genre_relations.flat_map(answers)
    labels = answers.tracks["y_true"]
    interpretation_plots.evidence_map(places, labels, answers.genres, wrong["row"], explained)
    agreed = genre_relations.agreement(answers)
    told = [
        interpretation_sentences.tree(tree, answers.genres),
        interpretation_sentences.confusion(genre_relations.confused_pairs(answers)),
        interpretation_sentences.agreement(agreed),
        interpretation_sentences.unanimous(answers, wrong, None),
        interpretation_sentences.borders(answers),
    ]
    if count > 1:
        found = genre_relations.doubt(answers)
        interpretation_plots.doubt(found, genres)
        interpretation_plots.rater_agreement(agreed, answers.models)
        told.append(interpretation_sentences.doubt(answers, found))
    assert all(text.endswith(".") and not NAN.search(text) for text in told)
    plt.gcf().canvas.draw()


@pytest.mark.parametrize(("genres", "rate"), [(2, 22_050), (10, 0)])
def test_maps_of_any_number_of_genres_are_drawn_and_told(genres, rate):
    rng = np.random.default_rng(0)
    names = [f"genre {k}" for k in range(genres)]
    y, groups = np.repeat(np.arange(genres), 4), np.arange(4 * genres) // 2
    excerpts = rng.random((len(y), 12, 16))
    values = rng.normal(0.1, 1, (len(y), 12, 16))
    maps = attribution.Maps(
        y, values, 0 * y, values.sum(axis=(1, 2)), values[:, 0, :8], values[:, 1, :6]
    )
    boundaries = summaries.mel_boundaries(16, rate)
    owner = np.stack(attribution.parts_of(16, 8)).argmax(axis=0)
    level = summaries.levels(excerpts, y, names)
    table = summaries.region_table(maps, y, groups, names, owner, level)
    parts = summaries.part_names(owner, boundaries)
    interpretation_plots.region_losses({"cnn": table}, parts, names)
    profile = summaries.shares(values.sum(axis=1), y, groups, names)
    interpretation_plots.band_profiles({"cnn": profile}, level, names, boundaries)
    moments = summaries.moment_table(maps, groups)
    interpretation_plots.moment_losses({"cnn": moments}, 6.0)
    rows = {"a": {"spectrogram": excerpts[0], "map": values[0]}, "b": {"spectrogram": excerpts[1]}}
    interpretation_plots.maps(rows, seconds=6.0, boundaries=boundaries, title="$ is a dollar")
    plt.gcf().canvas.draw()
    strongest = summaries.strongest({"cnn": table})
    cells = interpretation_sentences.region_cells(strongest, parts)
    assert list(cells.index) == names and list(cells) == ["cnn"]
    told = interpretation_sentences.regions(strongest, parts)
    assert all(name in told for name in names) and not NAN.search(told)
    assert interpretation_sentences.methods_agree({"cnn": table}).count("0.") >= 1
    assert interpretation_sentences.moments({"cnn": moments}).endswith(".")
