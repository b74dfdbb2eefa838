"""A single composed piece: its artist, the score that programs read, its sound, its metadata."""

from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import mido
import numpy as np
import pretty_midi
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_utils.data.composer import artists, collection, pieces, rendering, single
from genre_utils.data.track_lists import CorpusError
from genre_utils.plots import corpus

GENRES = st.sampled_from(sorted(pieces.GENRES))


def beats(score):
    """Start and end of every note, in beats; metres and tempo of the score."""
    (_, (tempo,)) = score.get_tempo_changes()
    notes = [n for i in score.instruments for n in i.notes]
    return np.array([(n.start, n.end) for n in notes]) * tempo / 60


def test_a_seed_is_a_piece_and_its_artist_is_in_no_corpus():
    plan = single.piece_plan("jazz", seed=7)
    assert plan == single.piece_plan("jazz", seed=7) != single.piece_plan("jazz", seed=8)
    assert len({single.piece_plan("rock", seed=n).artist.name for n in range(8)}) > 4
    for seed in range(10):
        assert plan.artist.mix not in [a.mix for a in artists.make_artists("jazz", 25, seed)]


def test_an_unknown_genre_is_refused_with_those_there_are():
    with pytest.raises(CorpusError, match="'metal' cannot be composed; the genres are rock, pop"):
        single.piece_plan("metal")


@settings(max_examples=12)
@given(genre=GENRES, seed=st.integers(0, 500))
def test_every_note_of_a_score_is_on_the_grid_and_none_overlaps_in_its_part(genre, seed):
    score = single.written_score(single.piece_plan(genre, seed=seed), 12.0)
    places = beats(score) * 12  # sixteenths and triplets
    assert np.abs(places - np.round(places)).max() < 0.02
    assert (places[:, 1] - places[:, 0]).min() > 1.9
    for part in score.instruments:
        spans = sorted({(n.start, n.end) for n in part.notes})
        assert all(a[1] <= b[0] + 1e-6 or a[0] == b[0] for a, b in pairwise(spans))
    names = [part.name for part in score.instruments]
    assert len({*names}) == len(names)


@settings(max_examples=8)
@given(genre=GENRES, seed=st.integers(0, 500))
def test_the_score_is_of_what_is_played(genre, seed):
    plan = single.piece_plan(genre, seed=seed)
    played, score = artists.score(plan, 12.0), single.written_score(plan, 12.0)
    for part, written in zip(played.instruments, score.instruments, strict=True):
        assert part.program == written.program
        there, here = ({n.pitch for n in one.notes} for one in (part, written))
        assert len(there & here) >= 0.8 * len(there | here)


def test_swing_is_written_as_triplets():
    plans = [single.piece_plan("jazz", seed=n) for n in range(12)]
    swings = [p for p in plans if p.artist.repertoire[0].swing >= single.SWUNG]
    assert swings
    for plan in swings[:3]:
        off = beats(single.written_score(plan, 12.0))[:, 0] % 1
        assert (np.abs(off - 2 / 3) < 0.01).any() and not (np.abs(off - 0.5) < 0.01).any()


def test_a_midi_file_says_what_programs_ask_for(tmp_path):
    plan = single.piece_plan("rock", seed=2)
    single.write_piece(plan, tmp_path / "a.mid", 10)
    single.write_piece(plan, tmp_path / "b.MID", 10)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.MID").read_bytes()
    timing, *tracks = mido.MidiFile(tmp_path / "a.mid").tracks
    told = {message.type: message for message in timing}
    assert told["track_name"].name == single.title(plan) == "Rock ballad in F# minor"
    version = collection.GENERATOR_VERSION
    text = f"Composed by rule (rock, seed 2, composer {version}), not a recording"
    assert told["text"].text == text
    assert (told["time_signature"].numerator, told["key_signature"].key) == (4, "F#m")
    assert round(mido.tempo2bpm(told["set_tempo"].tempo)) == plan.artist.repertoire[0].tempo[0]
    *instruments, drums = ({message.type: message for message in track} for track in tracks)
    for track in instruments:
        name = pretty_midi.program_to_instrument_name(track["program_change"].program)
        assert (track["track_name"].name, track["key_signature"].key) == (name, "F#m")
    assert drums["track_name"].name == "Drums" and drums["note_on"].channel == 9
    assert 8 < mido.MidiFile(tmp_path / "a.mid").length <= 10.5


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_recording_has_its_length_and_says_that_it_is_composed(tmp_path, suffix):
    plan = single.piece_plan("pop", seed=3)
    paths = [tmp_path / f"{n}{suffix}" for n in range(2)]
    for path in paths:
        single.write_piece(plan, path, 6)
    sounds = [soundfile.read(path)[0] for path in paths]
    assert (sounds[0] == sounds[1]).all()
    if suffix != ".ogg":  # whose streams have a random number
        assert paths[0].read_bytes() == paths[1].read_bytes()
    with soundfile.SoundFile(paths[0]) as file:
        assert file.frames == 6 * 22_050
        assert file.copy_metadata() == {
            "title": single.title(plan),
            "artist": plan.artist.name,
            "comment": single.statement(plan),
            "genre": "pop",
        }
    assert np.abs(sounds[0][-100:]).max() < 0.02 < np.abs(sounds[0]).max()


def test_what_is_no_kind_of_file_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"ends in \.wav, \.flac, \.ogg, \.mid\."):
        single.write_piece(single.piece_plan("pop"), tmp_path / "piece.mp3")
    assert not list(tmp_path.iterdir())


def test_the_most_typical_of_several_is_kept(monkeypatch):
    monkeypatch.setattr(rendering, "perform_track", lambda plan, s: (np.ones(9, "f4"), 22_050))
    plans = [single.piece_plan("jazz", seed=n) for n in range(4)]
    told = iter([0.2, 0.7, 0.7, 0.1])
    heard = []

    def probability(path):
        heard.append(soundfile.SoundFile(path).copy_metadata()["comment"])
        return next(told)

    assert single.most_typical(plans, 5, probability) == (0.7, plans[1])
    assert heard == [single.statement(plan) for plan in plans]


def test_a_score_is_drawn_with_its_bars():
    matplotlib.use("agg")
    score = single.written_score(single.piece_plan("jazz", seed=1), 12.0)
    figure = corpus.piano_roll(score, "a piece")
    lines = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert np.allclose(lines[:6], 4 * 60 / 136 * np.arange(6), atol=1e-3)
    assert [axes.get_ylabel() for axes in figure.axes] == ["MIDI pitch", "drums"]
    score.instruments[-1].notes, score.instruments[0].notes = [], []
    bare = corpus.piano_roll(score, "without drums")
    assert [axes.get_xlabel() for axes in bare.axes] == ["time (s)"]
    assert len(bare.axes[0].collections) == len(score.instruments) - 2
    plt.close("all")
