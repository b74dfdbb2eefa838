"""The composed corpus: musical properties, determinism, and the folder it is kept in."""

import builtins
import csv
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genre_utils.data.composer import collection, pieces, rendering
from genre_utils.data.composer.artists import make_artists, score, score_of, track_plan
from genre_utils.data.composer.patterns import DRUMS
from genre_utils.data.composer.styles import STYLES, draw_habits
from genre_utils.data.composer.theory import COMPASS, WHOLE_COMPASS, Key, nearest, read_chord, step
from genre_utils.workspace import files

EVERY_STYLE = [(genre, style) for genre, styles in STYLES.items() for style in styles]
TINY = {"artists_per_genre": 1, "tracks_per_artist": 2, "seconds": 3.0, "progress": False}


def piece(genre, style, seed=0, seconds=30.0):
    habits = draw_habits(genre, style, np.random.default_rng(seed))
    habits = replace(habits, unplugged=0.0)
    return habits, pieces.compose(genre, habits, seed, seconds)


def drum_hits(midi, drum):
    kit = [i for i in midi.instruments if i.is_drum]
    return np.array(sorted(n.start for i in kit for n in i.notes if n.pitch == DRUMS[drum]))


def compose_tiny(folder, **settings):
    return collection.compose_corpus(folder, **{**TINY, "n_jobs": 1, **settings})


def samples(folder):
    """Hash of the decoded samples of every track."""
    paths = sorted(Path(folder).glob("*/*.flac"))
    return files.sha256(*[soundfile.read(path, dtype="int16")[0] for path in paths])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return compose_tiny(tmp_path_factory.mktemp("corpus"), genres=("rock", "jazz"))


# --- music -----------------------------------------------------------------------------------


def test_roman_numerals_and_scale_steps():
    assert read_chord("bVII", 0, 0, 4).tones == (10, 2, 5)
    assert read_chord("ii7", 0, 0, 4).tones == (2, 5, 9, 0)
    assert read_chord("#iv°7", 0, 0, 4).tones == (6, 9, 0, 3)
    assert read_chord("V13", 7, 0, 4).root == 2
    scale = Key(0, "ionian").scale
    assert [step(scale, 60, n) for n in (-1, 1, 2, 7)] == [59, 62, 64, 72]
    assert nearest(scale, 61) in (60, 62)


@pytest.mark.parametrize(("genre", "style"), EVERY_STYLE)
def test_every_style_fills_the_clip_with_playable_notes(genre, style):
    _, midi = piece(genre, style, seed=3)
    spans = sorted((n.start, n.end) for i in midi.instruments for n in i.notes)
    assert len(spans) >= 60
    assert len({i.name for i in midi.instruments}) == len(midi.instruments) <= 16
    sounding_until = 0.0
    for start, end in spans:
        assert start - sounding_until < 1.5, "silence"
        assert 0 <= start < end <= 30.0
        sounding_until = max(sounding_until, end)
    assert sounding_until > 28
    for instrument in midi.instruments:
        low, high = COMPASS.get(instrument.program, WHOLE_COMPASS)
        pitches = [n.pitch for n in instrument.notes]
        if instrument.is_drum:
            low, high = 35, 81
        assert low <= min(pitches)
        assert max(pitches) <= high


@pytest.mark.parametrize(("genre", "style"), EVERY_STYLE)
def test_no_note_is_struck_while_it_sounds(genre, style):
    _, midi = piece(genre, style, seed=5)
    for instrument in midi.instruments:
        for pitch in {n.pitch for n in instrument.notes}:
            line = sorted((n.start, n.end) for n in instrument.notes if n.pitch == pitch)
            assert all(a[1] <= b[0] for a, b in pairwise(line))


@pytest.mark.parametrize("style", ["piano trio", "big band", "organ trio"])
def test_jazz_swings(style):
    habits, midi = piece("jazz", style, seed=1)
    if habits.groove == "brushes":
        habits = replace(habits, groove="swing")
        midi = pieces.compose("jazz", habits, 1)
    pedal = drum_hits(midi, "pedal")
    beat = np.median(np.diff(pedal)) / 2  # hi-hat on two and four
    offbeats = []
    ride = drum_hits(midi, "ride")
    for two in pedal:
        late = (ride - two) / beat
        offbeats += late[(late > 0.3) & (late < 0.8)].tolist()
    assert len(offbeats) > 10
    assert np.median(offbeats) > 0.55
    assert np.median(offbeats) == pytest.approx(habits.swing, abs=0.05)


@pytest.mark.parametrize("style", ["hard rock", "indie rock", "rock ballad", "blues rock"])
def test_rock_has_a_backbeat(style):
    habits, midi = piece("rock", style, seed=2)
    habits = replace(habits, fills=0.0, tempo=(120.0, 120.0), rubato=0.0)
    midi = pieces.compose("rock", habits, 2)
    beats = drum_hits(midi, "snare") / 0.5 % 4
    near = np.round(beats).astype(int) % 4
    assert len(beats) >= 24
    assert np.abs(beats - np.round(beats)).max() < 0.1
    assert set(near.tolist()) == {1, 3}


def test_straight_music_is_straight():
    habits, _ = piece("pop", "dance pop", seed=2)
    assert habits.swing == 0.5


@pytest.mark.parametrize("style", STYLES["classical"])
def test_classical_has_no_drum_kit(style):
    assert not any(i.is_drum for i in piece("classical", style)[1].instruments)


def test_sections_that_return_sound_alike():
    habits, _ = piece("pop", "dance pop")
    habits = replace(habits, tempo=(120.0, 120.0), fills=0.0, rubato=0.0, looseness=0.0)
    bass = next(i for i in pieces.compose("pop", habits, 4).instruments if i.name == "bass")
    first = {round(n.start / 0.5 % 4, 2) for n in bass.notes if n.start < 8}
    later = {round(n.start / 0.5 % 4, 2) for n in bass.notes if n.start >= 8}
    assert len(first & later) >= len(first) / 2


# --- artists ---------------------------------------------------------------------------------


def test_artists_are_unique_and_do_not_depend_on_their_number():
    artists = {g: make_artists(g, 25, 0) for g in pieces.GENRES}
    everyone = [a for group in artists.values() for a in group]
    assert len({a.name for a in everyone}) == len({a.slug for a in everyone}) == 100
    assert make_artists("jazz", 4, 0) == artists["jazz"][:4]
    assert make_artists("jazz", 4, 1) != artists["jazz"][:4]
    assert all(len(a.description.splitlines()) == 1 for a in everyone)


def test_every_style_has_an_artist():
    for genre, styles in STYLES.items():
        heard = {a.repertoire[0].style for a in make_artists(genre, 20)}
        assert heard == set(styles)


def test_score_of_finds_a_track():
    track = track_plan()[123]
    notes = [n.pitch for n in score(track, 5).instruments[0].notes]
    again = score_of(track.track_id, seconds=5).instruments[0].notes
    assert [n.pitch for n in again] == notes
    with pytest.raises(KeyError, match="no track"):
        score_of("jazz/nobody_01")


# --- sound -----------------------------------------------------------------------------------


@pytest.mark.parametrize("genre", pieces.GENRES)
def test_a_recording_is_sound(genre):
    track = track_plan(genres=(genre,))[11]
    y, rate = rendering.perform_track(track, 6.0)
    assert (rate, y.shape, y.dtype) == (22_050, (6 * 22_050,), np.float32)
    assert np.isfinite(y).all()
    assert 0.1 < np.abs(y).max() < 1.0
    seconds = y.reshape(6, -1).std(axis=1)
    assert seconds.min() > 0.02 * seconds.max()


def test_the_whole_note_is_rendered():
    """The renderer starts a note where the score says, and ends it."""
    import pretty_midi

    midi = pretty_midi.PrettyMIDI()
    organ = pretty_midi.Instrument(16)
    organ.notes.append(pretty_midi.Note(100, 60, 1.0, 2.0))
    organ.control_changes.append(pretty_midi.ControlChange(7, 100, 0.0))
    midi.instruments.append(organ)
    y, rate = rendering.render(midi, 4.0)
    loud = np.flatnonzero(np.abs(y) > 0.05 * np.abs(y).max()) / rate
    assert loud[0] == pytest.approx(1.0, abs=0.05)
    assert loud[-1] < 2.8


def test_old_recordings_lose_their_highs():
    track = track_plan(genres=("rock",))[0]
    mix = replace(track.artist.mix, hiss=90.0, drive=0.0, wet=0.0)
    noise = np.random.default_rng(0).normal(size=22_050 * 2).astype(np.float32)

    def highs(bandwidth):
        y = rendering.equalise(noise, 22_050, replace(mix, bandwidth=bandwidth))
        spectrum = np.abs(np.fft.rfft(y)) ** 2
        return spectrum[len(spectrum) * 2 // 3 :].sum() / spectrum.sum()

    assert highs(4000.0) < 0.1 * highs(11000.0)


# --- folder ----------------------------------------------------------------------------------


def test_folder_holds_what_it_says(corpus):
    with (corpus / "tracks.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == ["track_id", "path", "genre", "artist"]
    assert len(rows) == 4
    for row in rows:
        info = soundfile.info(corpus / row["path"])
        assert (info.samplerate, info.channels, info.subtype) == (22_050, 1, "PCM_16")
        assert info.frames == 3 * 22_050
        assert row["path"] == f"{row['track_id']}.flac"
    about = files.read_json(corpus / "corpus.json")
    assert about["complete"] is True
    assert about["generator"]["version"] == collection.GENERATOR_VERSION


def test_two_runs_and_two_processes_agree_bit_for_bit(corpus, tmp_path):
    again = compose_tiny(tmp_path / "again", genres=("rock", "jazz"), n_jobs=2)
    assert samples(again) == samples(corpus)
    other = compose_tiny(tmp_path / "other", genres=("rock", "jazz"), seed=1)
    assert samples(other) != samples(corpus)


def test_a_genre_does_not_depend_on_the_others(corpus, tmp_path):
    alone = compose_tiny(tmp_path, genres=("jazz",), tracks_per_artist=1)
    path = next((alone / "jazz").glob("*.flac"))
    assert path.read_bytes() == (corpus / "jazz" / path.name).read_bytes()


def test_interrupted_composition_is_completed(corpus, tmp_path, monkeypatch):
    whole, count = collection.write_track, []

    def power_cut(track, folder, seconds):
        if len(count) == 2:
            raise KeyboardInterrupt
        count.append(track)
        whole(track, folder, seconds)

    with monkeypatch.context() as patch:
        patch.setattr(collection, "write_track", power_cut)
        with pytest.raises(KeyboardInterrupt):
            compose_tiny(tmp_path, genres=("rock", "jazz"))
    assert files.read_json(tmp_path / "corpus.json")["complete"] is False
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*.flac")}
    assert len(kept) == 2
    compose_tiny(tmp_path, genres=("rock", "jazz"))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert samples(tmp_path) == samples(corpus)


def test_a_lost_file_is_composed_again_and_other_settings_replace_the_corpus(corpus, tmp_path):
    compose_tiny(tmp_path, genres=("rock", "jazz"))
    next((tmp_path / "rock").glob("*.flac")).unlink()
    compose_tiny(tmp_path, genres=("rock", "jazz"))
    assert samples(tmp_path) == samples(corpus)
    compose_tiny(tmp_path, genres=("jazz",), seed=1)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*.flac")}
    assert left == {t.track_id + ".flac" for t in track_plan(
        genres=("jazz",), artists_per_genre=1, tracks_per_artist=2, seed=1)}  # fmt: skip


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="no composed corpus"):
        compose_tiny(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_missing_tinysoundfont_is_explained(corpus, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("tinysoundfont"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "tinysoundfont", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    line = "pip install --no-deps -r requirements-nodeps.txt"
    with pytest.raises(ModuleNotFoundError) as error:
        compose_tiny(tmp_path / "new")
    assert line in [text.strip() for text in str(error.value).splitlines()]
    assert not (tmp_path / "new").exists()
    compose_tiny(corpus, genres=("rock", "jazz"))  # complete: needs no synthesiser
