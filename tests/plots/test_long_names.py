"""Names of any length are read in figures: nothing is cut off, nothing shrinks, none look alike."""

import itertools
import warnings

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage

from genre_utils.interpretation import genre_relations, summaries
from genre_utils.plots import base, comparison, corpus, features, interpretation, recognition
from small_study import made_up_maps, made_up_predictions

matplotlib.use("agg")
LONG = [
    "Alternative and Indie Singer-Songwriter Music", "Ca$h Money Hip Hop $_$",
    "Música Popular Brasileira <1960 & later", "_a_genre_whose_name_has_underscores_only",
]  # fmt: skip
SHORT = ["classical", "hiphop", "jazz", "metal"]
NUMBERED = [f"a very long genre name with number {k}" for k in range(1, 26)]


@pytest.fixture(autouse=True)
def _closed():
    base.style()
    yield
    plt.close("all")


def tracks_of(genres):
    rows = [(f"{g}/{k}", g, f"{g} artist {k}", k % 2) for g in genres for k in range(4)]
    return pd.DataFrame(rows, columns=["track_id", "genre", "artist", "fold"])


def counts(genres):
    return corpus.genre_counts(pd.DataFrame({"tracks": 4, "known artists": 3}, genres))


def folds(genres):
    tracks = tracks_of(genres)
    parts = [tracks.assign(part=part) for part in ("test", "validation")]
    return corpus.fold_map(pd.concat(parts).drop(columns="genre"), tracks, genres)


def loudness(genres):
    table = pd.DataFrame([(g, "none", -9.0 - k) for g in genres for k in range(3)])
    return corpus.loudness(table.set_axis(["genre", "normalisation", "LUFS"], axis=1), genres)


def confusion(genres, models=1):
    matrix = np.eye(len(genres), dtype=int) * 12
    return comparison.confusion({f"model {k}": matrix for k in range(models)}, genres)


def pairs(genres):
    rows = [(a, b, 0.2, [0.1, 0.3]) for a, b in itertools.pairwise(genres)]  # models called so
    table = pd.DataFrame(rows, columns=["a", "b", "difference", "ci95"])
    return comparison.forest(
        table.assign(separable=True, primary=True, p_value=0.01, p_holm=0.03).to_dict("records")
    )


def violins(genres):
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(4 * len(genres), 2)))
    return features.distributions(values, tracks_of(genres)["genre"], genres, ["Hz", "dB"])


def track_map(genres):
    places = {"PCA": np.random.default_rng(0).normal(size=(len(genres), 2))}
    return features.track_maps(places, genres, genres, title=genres[0], axes_of={})


def artists(genres):
    tree = linkage(np.arange(2.0 * len(genres)).reshape(-1, 1) ** 2)
    home = {f"{genre} {k}": genre for genre in genres for k in range(2)}
    return features.artist_tree(tree, list(home), genres, home)


def bands(genres):
    own, data = made_up_maps(names=genres)
    table = summaries.shares(
        {"cnn": own}, data, "bands", boundaries=summaries.mel_boundaries(16, 0)
    )
    return interpretation.band_profiles(table, genres)


def regions(genres):
    own, data = made_up_maps(names=genres)
    boundaries = summaries.mel_boundaries(16, 22_050)
    table = summaries.shares({"cnn": own, "rnn": own}, data, "regions", boundaries=boundaries)
    return interpretation.region_losses(table, genres)


def tree(genres):
    true = np.repeat(np.arange(len(genres)), 4)
    found = made_up_predictions([true, 0 * true], true, np.arange(len(true)), genres)
    return interpretation.genre_tree(genre_relations.genre_tree(found))


def excerpts(genres):
    image = {"spectrogram": np.zeros((4, 4)) + np.arange(4)}
    return interpretation.maps(dict.fromkeys(genres, image), seconds=2, title=", ".join(genres[:2]))


def timeline(genres, width=4.0):
    shares = dict.fromkeys(genres, 1 / len(genres))
    answer = {"probabilities": shares, "duration_s": 5.0}
    answer["timeline"] = [{"start_s": 0.0, "end_s": 5.0, "probabilities": shares}]
    return recognition.timelines({genres[0]: answer}, f"{genres[0]} till 2 s", width=width)


QUICK = [counts, folds, loudness, confusion, pairs, track_map, artists, tree, timeline]
CASES = [*itertools.product([*QUICK, violins, bands, regions, excerpts], [LONG])]
CASES += itertools.product(QUICK, [NUMBERED[:10]])


@pytest.fixture
def drawn(monkeypatch):
    """Draw a figure without a warning; give the texts that are drawn, and where (pixels)."""
    texts = {}

    def draw(text, renderer, *, original=matplotlib.text.Text.draw):
        texts[text] = text.get_window_extent(renderer)
        original(text, renderer)

    def of(figure):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            monkeypatch.setattr(matplotlib.text.Text, "draw", draw)
            figure.canvas.draw()
        return {text: box for text, box in texts.items() if text.get_text().strip()}

    return of


def over(one, other):
    """How many pixels two boxes share, at their narrowest; nothing where they are apart."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    return min(across, min(one.y1, other.y1) - max(one.y0, other.y0))


@pytest.mark.parametrize(("make", "genres"), CASES)
def test_long_names_are_neither_cut_off_nor_drawn_over_one_another(make, genres, drawn):
    figure = make(genres)
    places = drawn(figure)
    width, height = figure.bbox.size
    assert width < 8 * figure.dpi
    for text, box in places.items():
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -1, text
    for axes, k in itertools.product(figure.axes, (0, 1)):
        labels = [t for t in (axes.xaxis, axes.yaxis)[k].get_ticklabels() if t in places]
        assert len({label.get_text() for label in labels}) == len(labels)
        for one, other in itertools.pairwise(labels):
            assert over(places[one], places[other]) < 1, (one, other)


@pytest.mark.parametrize(("count", "models"), [(2, 1), (4, 3)])
def test_a_matrix_is_as_large_however_long_its_names_are(count, models):
    sizes = []
    for names in (["a", *SHORT, "pop", *"bcdef"][:count], [*LONG, *NUMBERED][:count]):
        figure = confusion(names, models)
        figure.draw_without_rendering()
        sizes.append(figure.axes[0].get_window_extent().width)
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def test_a_dollar_and_an_underscore_in_front_are_shown():
    figure = track_map(LONG)
    figure.draw_without_rendering()
    first, second = figure.legends[0].get_texts()[1:4:2]
    assert first.get_text().replace(r"\$", "$") == "Ca$h Money Hip Hop $_$"
    assert first.get_text().count(r"\$") == 3  # none begins a formula
    assert second.get_text().strip().startswith("_a_genre")


def test_a_legend_that_is_too_wide_has_fewer_columns_and_the_figure_more_rows():
    figure, axes = plt.subplots()
    for name in NUMBERED[:6]:
        axes.plot([0, 1], label=name)
    before = figure.get_figheight()
    base.legend(figure, axes, columns=3)
    (legend,) = figure.legends
    assert legend.get_window_extent().width < figure.bbox.width
    assert figure.get_figheight() == pytest.approx(before + 0.21 * (3 - 2))


def test_what_is_left_out_of_a_name_is_in_its_middle():
    name = "Alternative and Indie Singer-Songwriter Music"
    assert base.label("jazz") == "jazz"
    assert base.label(name, 18, 3) == "Alternative and\nIndie\nSinger-S…ter Music"
    assert base.label(name, 18, 1) == "Alternat…ter Music"
    assert base.label("my_own_model_of_music", 15) == "my_own_model_\nof_music"
    assert len(set(base.labels(NUMBERED, 18, 1))) == 25
    alike = [f"Contemporary {word} Music of all of Europe" for word in ("Folk", "Jazz", "Rock")]
    shown = base.labels(alike, 16, 1)
    assert len(set(shown)) == 3 and max(map(len, shown)) < 24


@given(
    st.lists(st.text("ab $_-é", min_size=1, max_size=50), unique_by=lambda n: " ".join(n.split()))
)
def test_labels_of_different_names_differ_and_have_few_lines(names):
    shown = base.labels(names, 18, 2)
    assert len(set(shown)) == len(names)
    assert all(label.count("\n") < 2 for label in shown)
    assert [base.label(name[:18]) for name in names] == [base.plain(name[:18]) for name in names]
