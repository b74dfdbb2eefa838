"""A single piece, of no corpus: its score for players and notation programs, and its sound."""

import io
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import mido
import numpy as np
import pretty_midi

from genre_utils.data.composer import artists, collection, pieces, rendering, styles, theory
from genre_utils.data.track_lists import CorpusError
from genre_utils.workspace import files

SOUND = {".wav": "PCM_16", ".flac": "PCM_16", ".ogg": "VORBIS"}
SCORE = (".mid", ".midi")
TICKS = 480  # of a quarter note
SWUNG = 0.56  # swing from which off-beats are written as triplets
HELD = 0.92  # of its written length, a note is played
FADE = 1.0  # seconds, at the end of a recording


def piece_plan(genre: str, *, seed: int = 0) -> artists.Track:
    """Invent an artist of a genre, who is in no corpus, and the key and tempo of a piece.

    Parameters
    ----------
    genre : str
        A genre of `GENRES`.
    seed : int
        Another seed is another piece, by another artist.

    Returns
    -------
    Track
        To be played by `perform_track`, or written by `write_piece`.

    Raises
    ------
    CorpusError
        If the genre cannot be composed.

    Examples
    --------
    >>> title(piece_plan("jazz", seed=7))
    'Ballad trio in F# minor'
    """
    if genre not in pieces.GENRES:
        known = ", ".join(pieces.GENRES)
        raise CorpusError(f"{genre!r} cannot be composed; the genres are {known}.")
    own = int(files.sha256("piece", seed)[:12], 16)  # corpora have small seeds
    artist = artists.make_artists(genre, 1, own)[0]
    habits, rng = artist.repertoire[0], np.random.default_rng(artists.stream(own, genre, "plan"))
    tempo = float(round(rng.uniform(*habits.tempo)))
    tonics, modes = (int(rng.choice(habits.tonics)),), (str(rng.choice(habits.modes)),)
    habits = replace(habits, tempo=(tempo, tempo), tonics=tonics, modes=modes)
    return artists.Track(f"{genre}, seed {seed}", replace(artist, repertoire=(habits,)), 1, own)


def title(plan: artists.Track) -> str:
    """Style and key of a piece.

    Parameters
    ----------
    plan : Track
        Of `piece_plan`.

    Returns
    -------
    str
        In words.
    """
    key = pretty_midi.key_number_to_key_name(_key_number(plan))
    return f"{plan.artist.repertoire[0].style.capitalize()} in {key}"


def statement(plan: artists.Track) -> str:
    """What a piece is, and what it is not: every file says it."""
    version = collection.GENERATOR_VERSION
    return f"Composed by rule ({plan.track_id}, composer {version}), not a recording"


def _key_number(plan):
    """Key as MIDI counts them: 0 to 11 are major, 12 to 23 minor."""
    habits = plan.artist.repertoire[0]
    return habits.tonics[0] + 12 * (habits.modes[0] in styles.MINOR_MODES)


def written_score(plan: artists.Track, seconds: float = 30.0) -> pretty_midi.PrettyMIDI:
    """Score of a piece as it is written and not as it is played: every note is on the grid.

    Parameters
    ----------
    plan : Track
        Of `piece_plan`.
    seconds : float
        Length of the piece.

    Returns
    -------
    pretty_midi.PrettyMIDI
        With tempo, metre, key and a text that says what it is; tracks are named as instruments.
        Sixteenths or triplets; swing is written as triplets; the tempo is constant.
    """
    habits = plan.artist.repertoire[0]
    straight = replace(habits, swing=0.5, rubato=0.0, looseness=0.0)
    artist, tempo = replace(plan.artist, repertoire=(straight,)), habits.tempo[0]
    played = artists.score(replace(plan, artist=artist), seconds)
    score = pretty_midi.PrettyMIDI(resolution=TICKS, initial_tempo=tempo)
    score.time_signature_changes = [pretty_midi.TimeSignature(habits.metre, 4, 0.0)]
    score.key_signature_changes = [pretty_midi.KeySignature(_key_number(plan), 0.0)]
    score.text_events = [pretty_midi.Text(statement(plan), 0.0)]
    swing = 2 / 3 if habits.swing >= SWUNG else 0.5
    for part in played.instruments:
        name = _name(part, played.instruments)
        written = pretty_midi.Instrument(part.program, part.is_drum, name)
        written.control_changes = part.control_changes
        written.notes = _on_grid(part.notes, 60 / tempo, swing)
        score.instruments.append(written)
    return score


def _on_grid(notes, beat, swing):
    """Notes on sixteenths or on triplets, whichever fits them, each until the next at the longest.

    `beat` is in seconds.
    """
    starts = np.array([note.start / beat for note in notes])
    grid = min((4, 3), key=lambda n: np.abs(starts - np.round(starts * n) / n).sum())
    places = np.round(starts * grid).astype(int)
    following = dict(pairwise([*sorted({*places.tolist()}), math.inf]))
    written: dict = {}
    for note, start in zip(notes, places.tolist(), strict=True):
        length = max(1, round((note.end - note.start) / beat / HELD * grid))
        end = min(start + length, following[start])
        times = (float(theory.swung(place / grid, swing)) * beat for place in (start, end))
        written.setdefault((start, note.pitch), pretty_midi.Note(note.velocity, note.pitch, *times))
    return list(written.values())


def _name(part, parts):
    """Name of a part's instrument, with its role where others play the same."""
    if part.is_drum:
        return "Drums"
    name = pretty_midi.program_to_instrument_name(part.program)
    alone = [other.program for other in parts if not other.is_drum].count(part.program) == 1
    return name if alone else f"{name} ({part.name})"


def check_suffix(path: Path) -> None:
    """Refuse the name of a file of no kind that a piece can be written as."""
    if path.suffix.lower() not in (*SOUND, *SCORE):
        kinds = ", ".join((*SOUND, SCORE[0]))
        raise CorpusError(f"'{path}': a piece is written as a file whose name ends in {kinds}.")


def write_piece(plan: artists.Track, path: str | Path, seconds: float = 30.0) -> None:
    """Write a piece as it is played (``.wav``, ``.flac``, ``.ogg``), or its score (``.mid``).

    Parameters
    ----------
    plan : Track
        Of `piece_plan`.
    path : str or Path
        The file, which says in its metadata that it is composed.
    seconds : float
        Length of the piece.

    Raises
    ------
    CorpusError
        If the suffix is another.
    ModuleNotFoundError
        If it is to be played and tinysoundfont is not installed.
    """
    path = Path(path)
    check_suffix(path)
    if path.suffix.lower() in SCORE:
        _write_midi(written_score(plan, seconds), path, title(plan))
        return
    import soundfile

    y, sample_rate = rendering.perform_track(plan, seconds)
    fade = min(len(y), round(FADE * sample_rate))
    y[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    subtype = SOUND[path.suffix.lower()]
    with soundfile.SoundFile(path, "w", sample_rate, 1, subtype) as file:
        file.title, file.artist = title(plan), plan.artist.name
        file.genre, file.comment = plan.artist.genre, statement(plan)
        file.write(y)


def _write_midi(score, path, name):
    """Write a score; its key stands in the track of each instrument, where MuseScore looks."""
    content = io.BytesIO()
    score.write(content)
    content.seek(0)
    file = mido.MidiFile(file=content)
    timing, *tracks = file.tracks
    keys = [message for message in timing if message.type == "key_signature"]
    for track, part in zip(tracks, score.instruments, strict=True):
        track[1:1] = [] if part.is_drum else keys
    timing.insert(0, mido.MetaMessage("track_name", name=name))
    file.save(path)


def most_typical(
    plans: Sequence[artists.Track], seconds: float, probability: Callable[[Path], float]
) -> tuple[float, artists.Track]:
    """Play pieces and keep the one to which a recogniser gives the highest probability.

    Parameters
    ----------
    plans : sequence of Track
        Of `piece_plan`.
    seconds : float
        Length of each piece.
    probability : callable
        From a recording to what the recogniser gives the genre.

    Returns
    -------
    probability : float
        Of the piece that is kept, the first of equals.
    plan : Track
        That piece.
    """
    from tqdm import tqdm

    told = []
    with tempfile.TemporaryDirectory() as folder:
        for number, plan in enumerate(tqdm(plans, unit="piece", desc="composed")):
            path = Path(folder, f"{number}.wav")
            write_piece(plan, path, seconds)
            told.append(probability(path))
            path.unlink()
    best = int(np.argmax(told))
    return told[best], plans[best]
