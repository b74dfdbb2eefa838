"""Pieces: the form of each genre, its sections and harmonies, and who plays in which of them."""

from dataclasses import replace
from functools import partial

import numpy as np

from genre_utils.data.composer import styles
from genre_utils.data.composer.players import PLAYERS, Stage
from genre_utils.data.composer.theory import Key, Section, perform, read_loop

LEADERS = ("melody", "solo")


def in_mode(loops, mode):
    """Loop table that suits the mode: in minor, a table of its own where there is one."""
    minor = styles.MINOR_LOOPS
    major = {of: loops for loops, of in minor.items()}
    return (minor if mode in styles.MINOR_MODES else major).get(loops, loops)


def lay_out(stage, genre, form, key, tempo, seconds, modulate=None):
    """Turn a form such as ``"verse4 chorus4"`` into sections that last as long as the clip.

    Every section name has a loop of its own among those that the artist likes; `modulate` names
    the key of a section relative to the home key, in semitones.
    """
    habits, modulate = stage.habits, modulate or {}
    loops = styles.LOOPS[in_mode(styles.STYLES[genre][habits.style].loops, key.mode)]
    names = form.split()
    energies = {"intro": 0.55, "verse": 0.65, "A": 0.7, "head": 0.75, "bridge": 0.6, "B": 0.9,
                "solo": 0.95, "chorus": 1.0}  # fmt: skip
    sections: list[Section] = []
    order: list[str] = []
    beat = 0.0
    last = (seconds * 1.12 + 2) * tempo / 60
    while beat < last:
        text = names[len(sections) % len(names)]
        name = text.rstrip("0123456789")
        order += [] if name in order else [name]
        loop = loops[habits.loops[order.index(name) % len(habits.loops)] % len(loops)]
        if name in ("solo", "intro") or len(loop.split("|")) == 12:
            loop = loops[habits.loops[0] % len(loops)]
        bars = 12 if len(loop.split("|")) == 12 else int(text[len(name) :])
        here = Key((key.tonic + modulate.get(name, 0)) % 12, key.mode)
        chords = read_loop(loop, here, beat, bars, habits.metre)
        energy = energies.get(name, 0.75)
        sections.append(Section(name, beat, bars, habits.metre, here, chords, energy))
        beat = sections[-1].end
    return sections


def arrange(stage, sections):
    """Let every part play the sections in which it is heard; the melody first, for its doubles."""
    parts = sorted(stage.habits.parts, key=lambda part: part.role not in LEADERS)
    soloist = any(part.role == "solo" for part in parts)
    for section in sections:
        for part in parts:
            silent = section.name not in part.sections if part.sections else False
            waits = section.name == "intro" and part.role in LEADERS
            soloed = section.name == "solo" and part.role == "melody" and soloist
            if not (silent or waits or soloed):
                PLAYERS[part.figure](stage, section, part)


def rebalanced(part, rng):
    """Set a fader for one piece."""
    return replace(part, level=int(np.clip(part.level * rng.uniform(0.85, 1.15), 30, 127)))


def acoustic(parts):
    """Play an acoustic session: no drums, and for anything with a plug its acoustic cousin."""
    return [
        replace(part, program=styles.ACOUSTIC.get(part.program, part.program))
        for part in parts
        if not part.is_drum
    ]


def compose_song(genre, forms, stage, key, tempo, seconds, lift=0.0):
    """Write a song: intro, verse, chorus, perhaps a lift at the end."""
    raised = 2 if stage.rng.random() < lift else 0
    return lay_out(stage, genre, stage.pick(forms), key, tempo, seconds, {"bridge": raised})


def compose_classical(stage, key, tempo, seconds):
    """Write periods in an A B A form; in major the B part goes to the dominant."""
    away = 0 if key.mode in styles.MINOR_MODES else 7
    form = stage.pick(("A4 A4 B4 A4", "A8 B8 A8", "A4 B4 A4 B4", "A8 A4 B4"))
    return lay_out(stage, "classical", form, key, tempo, seconds, {"B": away})


def compose_jazz(stage, key, tempo, seconds):
    """Head and solo choruses: AABA with a bridge, blues, or the clip begins in a solo."""
    form = stage.pick(("head4 head4 bridge4 head4 solo8", "head8 solo8", "solo8 solo8 head8",
                       "head4 head4 solo8", "intro2 head8 solo8"))  # fmt: skip
    return lay_out(stage, "jazz", form, key, tempo, seconds, {"bridge": 5})


#: What composes a piece of each genre.
GENRES: dict = {
    "rock": partial(compose_song, "rock", (
        "intro4 verse4 chorus4", "verse4 chorus4 solo4", "intro2 verse8 chorus8",
        "chorus4 verse4 chorus4", "solo4 verse4 chorus4", "verse8 chorus8")),
    "pop": partial(compose_song, "pop", (
        "intro2 verse4 chorus4", "verse4 chorus4 bridge4 chorus4", "verse8 chorus8",
        "chorus8 verse4", "intro4 verse4 chorus8"), lift=0.3),
    "classical": compose_classical,
    "jazz": compose_jazz,
}  # fmt: skip


def compose(genre, habits, seed, seconds=30.0):
    """Piece of a genre by an artist of some habits, as MIDI, cut to `seconds`."""
    rng = np.random.default_rng(seed)
    stage = Stage(rng, habits)
    key = Key(int(rng.choice(habits.tonics)), str(rng.choice(habits.modes)))
    tempo = float(rng.uniform(*habits.tempo))
    parts = [rebalanced(part, rng) for part in habits.parts]
    if rng.random() < habits.unplugged:
        parts = acoustic(parts)
    arrange(stage, GENRES[genre](stage, key, tempo, seconds))
    return perform(parts, stage.notes, habits, tempo=tempo, seconds=seconds, rng=rng)
