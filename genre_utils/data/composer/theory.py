"""Music theory as plain data: scales, chords, roman numerals, voicings, and how notes become time.

Pitches are MIDI numbers (60 is middle C), pitch classes are 0..11 (0 is C), times are in beats
until :func:`perform` turns them into seconds.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pretty_midi

SCALES = {
    "ionian": (0, 2, 4, 5, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "aeolian": (0, 2, 3, 5, 7, 8, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "altered": (0, 1, 3, 4, 6, 8, 10),
    "diminished": (0, 2, 3, 5, 6, 8, 9, 11),
    "major pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
}
CHORDS = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "5": (0, 7),
    "sus4": (0, 5, 7),
    "add9": (0, 4, 7, 14),
    "°": (0, 3, 6),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "maj7": (0, 4, 7, 11),
    "7": (0, 4, 7, 10),
    "m7": (0, 3, 7, 10),
    "ø7": (0, 3, 6, 10),
    "°7": (0, 3, 6, 9),
    "maj9": (0, 4, 7, 11, 14),
    "9": (0, 4, 7, 10, 14),
    "m9": (0, 3, 7, 10, 14),
    "13": (0, 4, 7, 10, 14, 21),
    "7b9": (0, 4, 7, 10, 13),
}
CHORD_SCALES = {  # what an improviser hears in a chord; the key's own scale where not listed
    "maj7": "ionian", "maj9": "lydian", "6": "ionian", "": "ionian",
    "7": "mixolydian", "9": "mixolydian", "13": "mixolydian", "7b9": "altered",
    "m": "dorian", "m6": "dorian", "m7": "dorian", "m9": "dorian",
    "ø7": "locrian", "°": "diminished", "°7": "diminished",
}  # fmt: skip
DEGREES = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
ROMAN = re.compile(r"([b#]?)([iv]+|[IV]+)(.*)")
COMPASS = {  # lowest and highest note of General MIDI programs; any other has the piano's
    **dict.fromkeys(range(24, 32), (40, 88)),
    **dict.fromkeys(range(32, 40), (24, 67)),
    11: (53, 89), 16: (36, 96), 22: (55, 91), 40: (55, 100), 41: (48, 88), 42: (36, 79),
    43: (28, 67), 47: (36, 60), 56: (54, 86), 57: (40, 77), 58: (26, 62), 59: (54, 86),
    60: (38, 77), 64: (56, 88), 65: (49, 81), 66: (44, 76), 67: (37, 69), 68: (58, 91),
    70: (34, 75), 71: (50, 94), 73: (59, 96), 105: (48, 86),
}  # fmt: skip
WHOLE_COMPASS = (21, 108)


class Key(NamedTuple):
    """A tonic (pitch class) and the name of its scale."""

    tonic: int
    mode: str

    @property
    def scale(self):
        """Pitch classes of the key."""
        return tuple((self.tonic + interval) % 12 for interval in SCALES[self.mode])


class Chord(NamedTuple):
    """A chord that sounds for a while."""

    root: int
    quality: str
    start: float
    beats: float

    @property
    def tones(self):
        """Pitch classes, root first."""
        return tuple((self.root + interval) % 12 for interval in CHORDS[self.quality])


class Note(NamedTuple):
    """A note in beats; velocity is 0..127 and may be fractional until it is performed."""

    start: float
    length: float
    pitch: int
    velocity: float


@dataclass(frozen=True)
class Section:
    """Some bars of music with one harmony, mood and name."""

    name: str
    start: float
    bars: int
    metre: int
    key: Key
    chords: tuple
    energy: float

    @property
    def end(self):
        """Beat at which the next section starts."""
        return self.start + self.bars * self.metre

    def chord_at(self, beat):
        """Return the chord that sounds at a beat; beyond the end, the first chord again."""
        for chord in self.chords:
            if chord.start <= beat + 1e-6 < chord.start + chord.beats:
                return chord
        return self.chords[0]

    def bar_starts(self):
        """Beats of the bar lines, with the number of each bar."""
        return [(bar, self.start + bar * self.metre) for bar in range(self.bars)]


def read_chord(numeral, tonic, start, beats):
    """Read a roman numeral such as ``bVII``, ``ii7`` or ``viiø7`` of the major scale of a tonic."""
    found = ROMAN.fullmatch(numeral)
    if found is None:
        raise ValueError(f"{numeral!r} is no roman numeral of a chord")
    accidental, degree, suffix = found.groups()
    root = DEGREES[degree.lower()] + {"b": -1, "#": 1, "": 0}[accidental]
    minor = degree.islower() and suffix[:1] not in ("°", "ø")
    return Chord((tonic + root) % 12, ("m" if minor else "") + suffix, start, beats)


def read_loop(loop, key, start, bars, metre):
    """Write a loop such as ``"I | vi | ii7 V7"`` (bars between ``|``) over some bars."""
    cells = [cell.split() for cell in loop.split("|")]
    chords = []
    for bar in range(bars):
        cell = cells[bar % len(cells)]
        beats = metre / len(cell)
        for position, numeral in enumerate(cell):
            at = start + bar * metre + position * beats
            chords.append(read_chord(numeral, key.tonic, at, beats))
    return tuple(chords)


def scale_of(chord, key, dialect="key"):
    """Pitch classes that a melody may use over a chord.

    In dialect "key" the key bends to the chord, in "chord" each chord brings its own scale (jazz),
    in "blues" and "pentatonic" the scale of the tonic is kept over all chords.
    """
    if dialect == "chord" and chord.quality in CHORD_SCALES:
        return Key(chord.root, CHORD_SCALES[chord.quality]).scale
    if dialect in ("blues", "pentatonic"):
        minor = SCALES[key.mode][2] == 3
        name = "blues" if dialect == "blues" and minor else "minor pentatonic"
        return Key(key.tonic, name if minor else "major pentatonic").scale
    foreign = set(chord.tones) - set(key.scale)
    kept = {pc for pc in key.scale if all((pc - f) % 12 not in (1, 11) for f in foreign)}
    return tuple(sorted(kept | set(chord.tones)))


def nearest(classes, pitch):
    """Pitch nearest to `pitch` (the lower of two) among some pitch classes."""
    return min((pitch + d for d in range(-6, 7) if (pitch + d) % 12 in classes),
               key=lambda p: abs(p - pitch))  # fmt: skip


def step(classes, pitch, steps):
    """Move by scale steps (or chord tones): negative is down, a foreign pitch is drawn in first."""
    pitch = nearest(classes, pitch)
    direction = 1 if steps > 0 else -1
    for _ in range(abs(steps)):
        pitch += direction
        while pitch % 12 not in classes:
            pitch += direction
    return pitch


def within(pitch, low, high):
    """Fold a pitch by octaves into a range of at least an octave."""
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch


def lowest(pitch_class, low):
    """Lowest pitch of a class at or above `low`."""
    return low + (pitch_class - low) % 12


def close_voicing(chord, low, previous):
    """Close position, in the inversion that moves least from the previous voicing."""
    tones = chord.tones[:4]
    ladders = []
    for turn in range(len(tones)):
        pitches = [lowest(tones[turn], low)]
        for tone in (tones[turn + 1 :] + tones[:turn])[: len(tones) - 1]:
            pitches.append(lowest(tone, pitches[-1] + 1))
        ladders.append(pitches)
    centre = np.mean(previous) if previous else low + 8
    return min(ladders, key=lambda pitches: (abs(np.mean(pitches) - centre), pitches))


def spread_voicing(chord, low, previous):
    """Root, fifth, root, tenth and twelfth: broken chords of a left hand or a guitar."""
    root = lowest(chord.root, low)
    fifth, third = CHORDS[chord.quality][-1 if len(chord.tones) < 3 else 2], chord.tones[1]
    tenth = lowest(third, root + 13)
    return [root, root + fifth, root + 12, tenth, lowest((root + fifth) % 12, tenth + 1)]


def power_voicing(chord, low, previous):
    """Root, fifth and octave."""
    root = lowest(chord.root, low)
    return [root, root + 7, root + 12]


def open_voicing(chord, low, previous):
    """Five strings of a guitar: root, fifth, root, third and fifth or seventh."""
    spread = spread_voicing(chord, low, previous)
    top = chord.tones[3] if len(chord.tones) > 3 else chord.tones[-1]
    return [*spread[:4], lowest(top, spread[3] + 1)]


def rootless_voicing(chord, low, previous):
    """Third, seventh and colours, as a jazz pianist leaves the root to the bass."""
    third, seventh = chord.tones[1], (*chord.tones, (chord.root + 9) % 12)[3]
    colours = chord.tones[4:] or ((chord.root + 2) % 12,) if "ø" not in chord.quality else ()
    guide = sorted((lowest(third, low), lowest(seventh, low)))
    fifth = () if len(chord.tones) > 5 else (chord.tones[2],)
    above = [lowest(tone, guide[-1] + 1) for tone in (*colours, *fifth)]
    return sorted({*guide, *above})


def shell_voicing(chord, low, previous):
    """Root, third and seventh."""
    root = lowest(chord.root, low)
    tones = (chord.tones[1], chord.tones[3] if len(chord.tones) > 3 else chord.tones[2])
    return [root, *sorted(lowest(tone, root + 4) for tone in tones)]


VOICINGS = {
    "close": close_voicing, "spread": spread_voicing, "power": power_voicing,
    "open": open_voicing, "rootless": rootless_voicing, "shell": shell_voicing,
}  # fmt: skip


def swung(beat, swing):
    """Delay the second half of each beat: 0.5 is straight, 0.67 is a triplet shuffle."""
    whole = np.floor(beat)
    part = beat - whole
    bent = np.where(part < 0.5, part * 2 * swing, swing + (part - 0.5) * 2 * (1 - swing))
    return whole + bent


def tempo_map(beats, tempo, rubato, rng):
    """Return a function from beats to seconds: tempo breathes in four- and eight-beat waves."""
    grid = np.arange(int(np.ceil(beats)) + 9)
    phase = rng.uniform(0, 2 * np.pi, 2)
    breath = np.sin(2 * np.pi * grid / 8 + phase[0]) + np.sin(2 * np.pi * grid / 12 + phase[1])
    wander = rng.normal(0, 0.5, len(grid))
    seconds_per_beat = 60 / tempo * (1 + rubato * np.clip((breath + wander) / 2, -1.5, 1.5))
    onset = np.concatenate([[0], np.cumsum(seconds_per_beat)[:-1]])
    return lambda beat: np.interp(beat, grid, onset)


def untangled(notes):
    """Sort sounding notes; one that is struck again ends first, so that no note is left hanging."""
    sounding: dict = {}
    kept: list = []
    for note in sorted(notes, key=lambda n: (n.start, n.pitch, -n.velocity)):
        before = sounding.get(note.pitch)
        if before is not None and note.start - before.start < 0.03:
            continue
        if before is not None and before.end > note.start - 0.005:
            before.end = note.start - 0.005
        sounding[note.pitch] = note
        kept.append(note)
    return kept


def perform(parts, notes, habits, *, tempo, seconds, rng):
    """Turn the beats of what each role plays into seconds as a player would, and cut the clip."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=float(tempo))
    last = max((n.start + n.length for line in notes.values() for n in line), default=0)
    clock, swing = tempo_map(last, tempo, habits.rubato, rng), habits.swing
    for part in parts:
        line, compass = notes.get(part.role, []), COMPASS.get(part.program, WHOLE_COMPASS)
        instrument = pretty_midi.Instrument(part.program, is_drum=part.is_drum, name=part.role)
        instrument.control_changes.append(pretty_midi.ControlChange(7, int(part.level), 0.0))
        nudge = rng.normal(0, habits.looseness * (0.5 if part.is_drum else 1), len(line))
        for note, late in zip(line, nudge, strict=True):
            start = max(0.0, float(clock(swung(note.start, swing))) + late)
            end = float(clock(swung(note.start + note.length, swing))) + late
            if start < seconds - 0.05:
                pitch = note.pitch if part.is_drum else within(note.pitch, *compass)
                velocity = int(np.clip(np.round(note.velocity), 1, 127))
                end = min(seconds, max(end, start + 0.04))
                instrument.notes.append(pretty_midi.Note(velocity, int(pitch), start, end))
        instrument.notes = untangled(instrument.notes)
        if instrument.notes:
            midi.instruments.append(instrument)
    return midi
