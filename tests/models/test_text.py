"""The models on titles: names of artists, missing titles, the weight, and folds without leakage."""

import numpy as np
import pandas as pd
import pytest

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.interpretation import telling_words
from genre_utils.models import classical, text
from genre_utils.paper import tables
from genre_utils.workspace import model_names
from small_study import THREE_GENRES as GENRES
from small_study import statistics_fixture  # noqa: F401

WORDS = {"rock": "highway thunder", "jazz": "midnight autumn", "pop": "sugar dancing"}
BY_TRACK = ["text", "audio_text"]


@pytest.fixture
def titled(study):
    """Titles with a word of the genre in three of four, which names the artist, too."""
    tracks, rng = study.tracks, np.random.default_rng(2)
    words = [rng.choice(WORDS[genre].split()) for genre in tracks["genre"]]
    other = rng.choice(["river", "morning", "stone", "letter"], len(tracks))
    pairs = zip(tracks["artist"], other, words, strict=True)
    titles = pd.Series([f"{artist} - {one} {word}" for artist, one, word in pairs])
    titles[rng.random(len(tracks)) < 0.25] = ""
    study.write(tracks=tracks.assign(title=titles, album=None))
    return study


def accuracy(predictions):
    whole = scoring.track_probabilities(predictions)
    return (whole["y_pred"] == whole["y_true"]).mean()


def test_names_of_artists_and_titles_of_nobody_are_no_text():
    rows = [
        ("a", "Queen", "Queen - Under Pressure", "Hot Space"),
        ("b", "unknown:b", "Queen - Under Pressure", ""),
        ("c", "Queen", "QUEEN", None),
        ("d", "Yes", "...", ""),
    ]
    found = text.texts(pd.DataFrame(rows, columns=["track_id", "artist", "title", "album"]))
    assert found.to_dict() == {"a": "- under pressure hot space", "b": "", "c": "", "d": ""}
    without = pd.DataFrame({"track_id": ["a"], "artist": ["Queen"]})  # of an earlier study
    assert text.texts(without).to_dict() == {"a": ""}


def test_an_apostrophe_parts_no_word():
    said = np.array(["shepherd's 'round o’clock", "rock 'n' roll"], dtype=object)
    words = text.fit(said, np.array(["jazz", "rock"]))[0].transformer_list[0][1]
    one = {"shepherd's", "round", "o’clock", "rock", "n", "roll"}
    assert {word for word in words.get_feature_names_out() if " " not in word} == one


@pytest.mark.parametrize("name", BY_TRACK)
def test_cross_validation_writes_valid_predictions_and_a_run(titled, name):
    predictions, run = text.cross_validate_text(titled, name)
    scoring.check_predictions(titled.predictions(name), titled.folds, titled.tracks, GENRES)
    assert titled.run(name) == run and len(predictions) == 54 * 3
    assert accuracy(predictions) > 0.7
    assert not tables.stored_before(titled, [name], [name])
    again, _ = text.cross_validate_text(titled, name)
    pd.testing.assert_frame_equal(again, predictions)


def test_a_track_without_text_gets_the_shares_of_the_training_part(titled):
    data = text.Data(titled)
    train, test = data.rows(0)
    p = text.by_text(data, train, test)
    shares = pd.Series(data.genre[data.one_each(train)]).value_counts(normalize=True)
    empty = data.text[test] == ""
    assert 0 < empty.sum() < len(test)
    np.testing.assert_allclose(p[empty], np.tile(shares[GENRES], (empty.sum(), 1)))
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    data.text[data.genre == "pop"] = ""  # a genre without any title keeps its share
    p = text.by_text(data, train, test)
    np.testing.assert_allclose(p[:, GENRES.index("pop")], shares["pop"])
    data.text[data.genre == "jazz"] = ""  # one genre alone tells nothing
    np.testing.assert_allclose(text.by_text(data, train, test) - shares[GENRES].to_numpy(), 0)


def test_where_there_is_no_title_the_sound_decides_alone(titled):
    data = text.Data(titled)
    train, test = data.rows(0)
    predictions, runs = text.predict_folds(data, "audio_text")
    own = predictions[predictions["fold"] == 0][[f"p_{genre}" for genre in GENRES]].to_numpy()
    of = data.x.to_numpy(), data.genre, data.group, train, test, GENRES
    sound, empty = classical.fit_predict(text.AUDIO, *of), data.text[test] == ""
    assert 0 < runs[0]["weight"] <= 2 and len(runs[0]["inner_loss"]) == len(text.WEIGHTS)
    np.testing.assert_allclose(own[empty], sound[empty])
    assert not np.allclose(own[~empty], sound[~empty])


def test_test_titles_decide_neither_weight_nor_words(titled):
    """Poisoned titles of the test part: each names the genre, and words come again and again."""
    folds = titled.folds[titled.folds["fold"] == 0]
    one, (told,) = text.predict_folds(text.Data(titled, folds), "audio_text")
    words = telling_words(titled)
    test = set(folds.loc[folds["part"] == "test", "track_id"])
    tracks, spared = titled.tracks, min(test)
    poisoned = tracks["track_id"].isin(test - {spared})
    wrong = tracks["genre"].map({"rock": "jazz", "jazz": "pop", "pop": "rock"}).map(WORDS) + " zzz"
    titled.write(tracks=tracks.assign(title=tracks["title"].mask(poisoned, wrong)))
    two, (again,) = text.predict_folds(text.Data(titled, folds), "audio_text")
    assert (again["weight"], again["inner_loss"]) == (told["weight"], told["inner_loss"])
    same = one["track_id"] == spared
    pd.testing.assert_frame_equal(one[same], two[same])
    assert not one.equals(two)
    pd.testing.assert_frame_equal(telling_words(titled), words)


@pytest.mark.parametrize("name", BY_TRACK)
def test_a_leak_is_refused_before_anything_is_written(titled, name):
    folds = titled.folds
    one = folds.index[(folds["fold"] == 2) & (folds["part"] == "train")][0]
    test = folds.index[(folds["fold"] == 2) & (folds["part"] == "test")][0]
    folds.loc[one, "group"] = folds.loc[test, "group"]
    titled.write(folds=folds)
    with pytest.raises(splits.LeakageError, match="fold 2"):
        text.cross_validate_text(titled, name)
    assert not titled.finished()


def test_titles_dealt_out_anew_are_worth_chance_and_no_weight(titled):
    tracks, found, weights = titled.tracks, [], []
    for seed in range(3):
        titles = np.random.default_rng(seed).permutation(tracks["title"].str.split(" - ").str[-1])
        titled.write(tracks=tracks.assign(title=titles))
        found.append(accuracy(text.cross_validate_text(titled, "text")[0]))
        weights += [
            fold["weight"] for fold in text.predict_folds(text.Data(titled), "audio_text")[1]
        ]
    assert 1 / 3 - 0.15 < np.mean(found) < 1 / 3 + 0.15
    assert np.median(weights) <= 0.2


def test_words_of_a_genre_are_those_of_several_artists(titled):
    words = telling_words(titled)["words"]
    assert list(words.index) == GENRES and words.index.name == "genre"
    for genre, own in WORDS.items():
        assert {*own.split()} <= {word.partition(" (")[0] for word in words[genre].split(", ")}
    two = titled.tracks.query("genre != 'pop'")
    folds = titled.folds[titled.folds["track_id"].isin(two["track_id"])]
    titled.write(tracks=two, folds=folds, corpus=titled.corpus | {"genres": ["rock", "jazz"]})
    summary = titled.summary
    titled.write(summary=summary[summary["track_id"].isin(two["track_id"])])
    for genre, said in telling_words(titled)["words"].items():  # the sign of a single regression
        assert set(WORDS[genre].split()) & {word.partition(" (")[0] for word in said.split(", ")}


def test_models_of_text_need_titles_in_two_genres(titled):
    assert text.choose_text(titled, ["svm", "audio_text"]) == ["audio_text"]
    assert text.choose_text(titled, ["svm"]) == []
    one = titled.tracks["genre"] == "rock"
    titled.write(tracks=titled.tracks.assign(title=titled.tracks["title"].where(one, "")))
    assert text.choose_text(titled, model_names.TEXT) == []
    assert telling_words(titled).empty
