"""What musicians play: drum grooves, bass and chord figures as tablature, and melodic lines.

A figure is one bar written as a string, however many steps it has. In grooves ``X x o`` are
accent, stroke and ghost note. In chord figures ``X x o`` strike the whole chord and a digit one
of its voices, from the lowest. In bass figures digits are chord degrees (8 is the octave) and
``a`` approaches the next root. Everywhere ``-`` holds and ``.`` rests.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from genre_utils.data.composer import patterns, theory
from genre_utils.data.composer.theory import Key, Note, lowest, nearest, scale_of, step, within


@dataclass(frozen=True)
class Part:
    """One member of the line-up: a role, a General MIDI program, a figure, loudness, sections."""

    role: str
    figure: str
    program: int
    level: int
    sections: tuple = ()
    shift: int = 0

    @property
    def is_drum(self):
        """Whether the part is a drum kit (its program then names the kit)."""
        return self.role == "drums"


@dataclass
class Stage:
    """A piece while it is written: who plays, what has been written, what was played before."""

    rng: np.random.Generator
    habits: Any  # `styles.Habits` of the artist
    notes: dict = field(default_factory=lambda: defaultdict(list))
    memory: dict = field(default_factory=dict)

    def write(self, part, section, start, length, pitch, velocity):
        """Write one note, shaped by the section's energy and the phrase; `velocity` is 0..1."""
        phrase = np.sin(np.pi * ((start - section.start) / (4 * section.metre) % 1))
        swell = 1 + self.habits.dynamics * (phrase - 0.5)
        touch = self.habits.touch * (0.7 + 0.3 * section.energy) * swell + self.rng.normal(0, 4)
        note = Note(start, length, int(pitch), np.clip(touch * velocity, 8, 127))
        self.notes[part.role].append(note)

    def once(self, key, make):
        """Remember what was made for a key, so that a section that returns sounds like itself."""
        if key not in self.memory:
            self.memory[key] = make()
        return self.memory[key]

    def pick(self, options):
        """Choose one of several options."""
        return options[int(self.rng.integers(len(options)))]


def strokes(figure, beats):
    """Read a bar of tablature: (onset, length, symbol) of everything that is struck, in beats."""
    unit = beats / len(figure)
    found: list = []
    for position, symbol in enumerate(figure):
        if symbol == "-" and found:
            onset, _, struck = found[-1]
            found[-1] = (onset, position * unit + unit - onset, struck)
        elif symbol not in ".-":
            found.append((position * unit, unit, symbol))
    return found


def play_drums(stage, section, part):
    """A groove with a crash on the first beat, ghost notes of its own and a fill at the end."""
    habits, rng = stage.habits, stage.rng
    groove = patterns.GROOVES[habits.groove]
    loud = {"X": 1.0, "x": 0.78, "o": 0.42}
    jazz = "pedal" in groove or habits.groove == "bossa"
    ride = section.energy > 0.9 and "hat" in groove and habits.fills > 0.3
    for bar, start in section.bar_starts():
        filled = bar == section.bars - 1 and rng.random() < habits.fills
        for drum, tab in groove.items():
            drum = "ride" if ride and drum == "hat" else drum
            for onset, _, symbol in strokes(tab, section.metre):
                if symbol == "." or (filled and onset >= section.metre - 2 and drum != "kick"):
                    continue
                if symbol == "o" and rng.random() > 0.5 + habits.density / 2:
                    continue
                stage.write(part, section, start + onset, 0.2, patterns.DRUMS[drum], loud[symbol])
        if filled and not jazz:
            play_fill(stage, section, part, start + section.metre - 2)
        if jazz and rng.random() < habits.density:
            beat = start + stage.pick((0.5, 1.5, 2.5, 3.5)) % section.metre
            soft = patterns.DRUMS[stage.pick(("snare", "kick"))]
            stage.write(part, section, beat, 0.2, soft, 0.5)
    if habits.fills > 0.3 and section.energy > 0.6 and not jazz:
        stage.write(part, section, section.start, 0.5, patterns.DRUMS["crash"], 1.0)


def play_fill(stage, section, part, start):
    """Two beats around the kit."""
    figure = stage.pick(("xxxxxxxx", "X.xxX.xx", "..xxxxxx", "X.X.xxxx"))
    kit = ("snare", "high tom", "low tom", "floor tom")
    for onset, _, symbol in strokes(figure, 2):
        drum, loud = patterns.DRUMS[kit[min(3, int(onset * 2))]], 1.0 if symbol == "X" else 0.8
        stage.write(part, section, start + onset, 0.2, drum, loud)


def bass_pitch(symbol, chord, following, low):
    """Pitch of a bass degree over a chord, or the approach to the next root."""
    root = lowest(chord.root, low)
    if symbol == "a":
        return nearest((following.root,), root) - 1
    tones = {"1": chord.root, "3": chord.tones[1], "5": (chord.root + 7) % 12,
             "6": (chord.root + 9) % 12, "8": chord.root}  # fmt: skip
    return lowest(tones[symbol], root + (1 if symbol == "8" else 0))


def play_bass(stage, section, part, low=28):
    """A bass figure, the same for a section whenever it returns."""
    low += part.shift
    figure = stage.once((part.role, section.name), lambda: stage.pick(patterns.BASS[part.figure]))
    if section.metre == 3 and len(figure) % 6:
        figure = "1-...." if len(figure) == 8 else "1-----"
    for _, start in section.bar_starts():
        for onset, length, symbol in strokes(figure, section.metre):
            chord = section.chord_at(start + onset)
            following = section.chord_at(start + section.metre)
            pitch = bass_pitch(symbol, chord, following, low)
            accent = 1.0 if onset == 0 else 0.85
            stage.write(part, section, start + onset, length * 0.93, pitch, accent)
            left = chord.start + chord.beats - start - onset
            if "-" in figure and left < length - 1e-6:  # the harmony moves under a held note
                stage.notes[part.role][-1] = stage.notes[part.role][-1]._replace(length=left * 0.93)
                chord = section.chord_at(start + onset + left)
                pitch = bass_pitch("1", chord, following, low)
                stage.write(part, section, chord.start, length - left, pitch, 0.85)


def walk_bass(stage, section, part, low=28, high=52):
    """Four to the bar: roots, chord and scale tones, a chromatic or dominant step into the next."""
    rng = stage.rng
    pitch = stage.memory.get("walk", low + 8)
    for beat in np.arange(section.start, section.end):
        chord, following = section.chord_at(beat), section.chord_at(beat + 1)
        first = abs(beat - chord.start) < 1e-6
        if first and rng.random() < 0.9:
            pitch = nearest((chord.root,), pitch)
        elif following is not chord:
            target = nearest((following.root,), pitch)
            pitch = target + stage.pick((-1, 1, -1, 1, 2, -2, 7, -5))
        else:
            classes = chord.tones if rng.random() < 0.6 else scale_of(chord, section.key, "chord")
            pitch = step(classes, pitch, stage.pick((-2, -1, 1, 1, 2)))
        pitch = within(pitch, low, high)
        stage.write(part, section, beat, 0.92, pitch, 0.95 if first else 0.85)
        if rng.random() < 0.12:
            stage.write(part, section, beat + 0.5, 0.4, pitch, 0.6)
    stage.memory["walk"] = pitch


def play_chords(stage, section, part, low=52):
    """A chord figure: strummed, broken, stabbed or held, with the nearest voicing each time."""
    kind, figures = patterns.CHORD_FIGURES[part.figure]
    loose = kind in ("rootless", "shell") or part.figure == "stabs"
    low = {"power": 40, "open": 43, "spread": 43, "rootless": 50, "shell": 45}.get(kind, low)
    low += part.shift
    previous = None
    fits = [f for f in figures if section.metre != 3 or len(f) % 3 == 0] or ["x-----"]
    for bar, start in section.bar_starts():
        place = (part.role, section.name, bar if loose else 0)  # comping changes with every bar
        figure = stage.once(place, lambda: stage.pick(fits))
        for onset, length, symbol in strokes(figure, section.metre):
            chord = section.chord_at(start + onset)
            for piece_start, piece_chord, piece in held(section, chord, start + onset, length):
                previous = theory.VOICINGS[kind](piece_chord, low, previous)
                sound(stage, section, part, piece_start, piece, previous, symbol)


def held(section, chord, start, length):
    """Split a held chord where the harmony changes under it."""
    end = start + length
    while start < end - 1e-6:
        stop = min(end, max(chord.start + chord.beats, start + 0.25))
        yield start, chord, stop - start
        start, chord = stop, section.chord_at(stop)


def sound(stage, section, part, start, length, voicing, symbol):
    """Strike a whole voicing, strings one after another on a guitar, or a single voice of it."""
    if symbol.isdigit():
        pitch = voicing[(int(symbol) - 1) % len(voicing)]
        ring = length * (1.8 if patterns.CHORD_FIGURES[part.figure][0] == "spread" else 1.0)
        stage.write(part, section, start, ring, pitch, 0.85 if symbol == "1" else 0.7)
        return
    loud = {"X": 0.95, "x": 0.75, "o": 0.5}[symbol]
    spread = 0.03 if patterns.CHORD_FIGURES[part.figure][0] == "open" else 0.0
    for string, pitch in enumerate(voicing):
        stage.write(part, section, start + string * spread, length * 0.9, pitch, loud)


def make_motif(stage, bank, metre):
    """Two bars of rhythm with a contour in scale steps, as dense as the artist likes."""
    bars = []
    for _ in range(2):
        place = np.clip(stage.habits.density + stage.rng.normal(0, 0.22), 0, 0.999)
        rhythm = bank[int(place * len(bank))]
        moves = stage.rng.choice((-2, -1, -1, 0, 1, 1, 2, 3, -3), len(rhythm))
        bars.append((strokes(rhythm, metre), moves))
    return bars


def sing(stage, section, part, bank, *, low, high, dialect="key", cadence=True):
    """Sing phrases of four bars: motif, answer, motif lifted, cadence; repeats are varied."""
    low, high = low + part.shift, high + part.shift
    rhythms, home = patterns.RHYTHMS[bank], (low + high) // 2
    motif = stage.once((part.role, section.name), lambda: make_motif(stage, rhythms, section.metre))
    for bar, start in section.bar_starts():
        rhythm, moves = motif[bar % 2]
        if cadence and (bar % 4 == 3 or bar == section.bars - 1):
            rhythm = strokes(stage.pick(patterns.CADENCE[section.metre * 2]), section.metre)
        scale = scale_of(section.chord_at(start), section.key, dialect)
        pitch = step(scale, home, patterns.ARCH[bar % 4]) if cadence else nearest(scale, home)
        for place, (onset, length, _) in enumerate(rhythm):
            chord = section.chord_at(start + onset)
            scale = scale_of(chord, section.key, dialect)
            varied = stage.rng.random() < 0.08
            move = int(moves[place % len(moves)]) if place else 0
            pitch = step(scale, pitch, move + (stage.pick((-1, 1)) if varied else 0))
            last = place == len(rhythm) - 1 and cadence and bar % 4 == 3
            if (onset % 2 == 0 and dialect != "blues") or length >= 1.5 or last:
                pitch = nearest(chord.tones[:3], pitch)
            pitch = within(pitch, low, high)
            accent = 1.0 if onset % 1 == 0 else 0.88
            stage.write(part, section, start + onset, length * 0.94, pitch, accent)


def cell_scale(stage, chord, scale, target, way):
    """Four scale steps into the target."""
    return [step(scale, target, -way * n) for n in (4, 3, 2, 1)]


def cell_arpeggio(stage, chord, scale, target, way):
    """Chord tones, then the semitone before the target."""
    tones = chord.tones[:4]
    return [step(tones, target, -way * n) for n in (3, 2, 1)] + [target - way]


def cell_enclosure(stage, chord, scale, target, way):
    """Surround the target from above and below."""
    return [step(scale, target, 2), step(scale, target, 1), target - 2, target - 1]


def cell_chromatic(stage, chord, scale, target, way):
    """Bebop: a chromatic passing tone on the way."""
    return [step(scale, target - 3 * way, -way), target - 3 * way, target - 2 * way, target - way]


def cell_digital(stage, chord, scale, target, way):
    """One two three five of the chord."""
    root = nearest((chord.root,), target - 5 * way)
    return [step(scale, root, n) for n in (0, 1, 2, 4)]


CELLS = (cell_scale, cell_scale, cell_arpeggio, cell_enclosure, cell_chromatic, cell_digital)


def improvise(stage, section, part, low, high, dialect="chord"):
    """Lines of eighths in half-bar cells that aim at chord tones, with breaths between them."""
    low, high = low + part.shift, high + part.shift
    rng, beat = stage.rng, section.start + stage.pick((0, 0.5, 1))
    pitch = stage.memory.get((part.role, "line"), (low + high) // 2)
    cells = CELLS if dialect == "chord" else CELLS[:3]
    while beat < section.end - 1:
        for _ in range(int(rng.integers(2, 4 + round(3 * stage.habits.density)))):
            chord, ahead = section.chord_at(beat), section.chord_at(beat + 2)
            way = -1 if pitch > (low + high) / 2 + rng.normal(0, 5) else 1
            target = nearest(ahead.tones[:4], pitch + way * int(rng.integers(1, 6)))
            scale = scale_of(chord, section.key, dialect)
            line = stage.pick(cells)(stage, chord, scale, target, way)
            for place, tone in enumerate(line):
                if beat + place / 2 < section.end:
                    loud, tone = 0.92 if place % 2 else 0.85, within(tone, low, high)
                    stage.write(part, section, beat + place / 2, 0.48, tone, loud)
            beat, pitch = beat + 2, within(target, low, high)
            if beat >= section.end - 1:
                break
        if beat < section.end:
            stage.write(part, section, beat, stage.pick((0.4, 1.0, 1.4)), pitch, 0.95)
        beat += stage.pick((1.5, 2, 2.5, 3)) + 1 - round(stage.habits.density)
    stage.memory[part.role, "line"] = pitch


def play_lead(bank, low, high, stage, section, part, dialect="key", solo=None):
    """Sing, and improvise in solo sections if the player knows how."""
    if solo and section.name == "solo":
        improvise(stage, section, part, low, high, solo)
    else:
        sing(stage, section, part, bank, low=low, high=high, dialect=dialect)


def play_riff(stage, section, part, low=40):
    """A one- or two-bar riff in power chords on the pentatonic scale, repeated over the roots."""
    line = Part("riff line", part.figure, part.program, part.level, (), part.shift)
    sing(stage, section, line, "riff", low=low, high=low + 14, dialect="pentatonic", cadence=False)
    for note in stage.notes.pop("riff line"):
        for interval in (0, 7):
            stage.notes[part.role].append(note._replace(pitch=note.pitch + interval))


def double(interval, stage, section, part):
    """Double the melody at an octave or in scale steps below."""
    for note in list(stage.notes["melody"]):
        if section.start <= note.start < section.end:
            scale = scale_of(section.chord_at(note.start), section.key)
            octave = interval % 12 == 0
            pitch = note.pitch + interval if octave else step(scale, note.pitch, interval)
            doubled = note._replace(pitch=pitch, velocity=note.velocity * 0.85)
            stage.notes[part.role].append(doubled)


def play_counter(stage, section, part, low=55, high=74):
    """A guide-tone line: long notes that move by step from chord to chord."""
    low, high = low + part.shift, high + part.shift
    pitch = stage.memory.get((part.role, "line"), (low + high) // 2)
    for chord in section.chords:
        guides = chord.tones[1:4] if len(chord.tones) > 2 else chord.tones
        pitch = within(nearest(guides, pitch + stage.pick((-1, 0, 0, 1))), low, high)
        stage.write(part, section, chord.start, chord.beats * 0.97, pitch, 0.75)
    stage.memory[part.role, "line"] = pitch


TESSITURA = (74, 65, 58, 46)  # soprano, alto, tenor, bass


def choir(stage, section):
    """Four voices over each chord: the bass has the root or third, the others move least."""
    previous, score = list(TESSITURA), []
    for chord in section.chords:
        root = chord.tones[1] if stage.rng.random() < 0.2 else chord.root
        bass = within(nearest((root,), previous[3]), 38, 55)
        free, upper = list(chord.tones[:3]), []
        for voice in (0, 2, 1):
            drift = stage.pick((-2, 0, 1, 2)) if voice == 0 else 0
            goal = previous[voice] * 0.75 + TESSITURA[voice] * 0.25 + drift
            pitch = nearest(free, round(goal))
            if len(free) > 1:
                free.remove(pitch % 12)
            upper.append(pitch)
        previous = [upper[0], upper[2], upper[1], bass]
        score.append(previous)
    return score


def play_voice(voice, stage, section, part):
    """One voice of a chorale, with passing tones and suspensions."""
    score = stage.once(("choir", section.start), lambda: choir(stage, section))
    pitches = [chord[voice] for chord in score]
    delay = 0.0
    for chord, pitch, ahead in zip(
        section.chords, pitches, pitches[1:] + pitches[-1:], strict=True
    ):
        start, length = chord.start + delay, chord.beats - delay
        delay = 0.0
        if 3 <= abs(ahead - pitch) <= 4 and chord.beats >= 2:
            middle = step(scale_of(chord, section.key), pitch, 1 if ahead > pitch else -1)
            length /= 2
            stage.write(part, section, start + length, length * 0.98, middle, 0.7)
        elif voice < 3 and ahead in (pitch - 1, pitch - 2) and stage.rng.random() < 0.5:
            delay = min(1.0, chord.beats / 2)  # the old note hangs over: a suspension
            length += delay
        stage.write(part, section, start, length * 0.98, pitch + part.shift, 0.78)


def play_fugue(voice, stage, section, part):
    """One voice of a fugato: subject and answer in turn every two bars, then counterpoint."""
    low, high = ((62, 81), (55, 74), (43, 62))[voice]
    for window in range(section.bars // 2):
        if section.start == 0 and window < voice:
            continue
        start = section.start + window * 2 * section.metre
        inside = tuple(c for c in section.chords if start <= c.start < start + 2 * section.metre)
        key, leads = section.key, window % 3 == voice
        name, bank = ("subject", "subject") if leads else (f"counter {voice}", "running")
        if leads:
            key = Key((key.tonic + 7 * (voice % 2)) % 12, key.mode)
        elif stage.rng.random() < 0.35:
            bank, name = "lyric", f"free {voice}"
        passage = theory.Section(name, start, 2, section.metre, key, inside, section.energy)
        actor = Part("subject" if leads else part.role, "", 0, 0, (), part.shift)
        sing(stage, passage, actor, bank, low=low, high=high, cadence=False)
        if leads:
            stage.notes[part.role] += stage.notes.pop("subject")


PLAYERS: dict = {
    "kit": play_drums,
    "walking": walk_bass,
    "riff": play_riff,
    "hook": partial(play_lead, "hook", 60, 79),
    "hook-low": partial(play_lead, "hook", 50, 69),
    "anthem": partial(play_lead, "anthem", 60, 79, dialect="pentatonic", solo="pentatonic"),
    "rock-vocal": partial(play_lead, "hook", 57, 76, dialect="pentatonic"),
    "rock-solo": partial(play_lead, "riff", 60, 84, dialect="blues", solo="blues"),
    "theme": partial(play_lead, "theme", 62, 84),
    "theme-low": partial(play_lead, "theme", 45, 67),
    "lyric": partial(play_lead, "lyric", 62, 82),
    "lyric-low": partial(play_lead, "lyric", 45, 66),
    "running": partial(play_lead, "running", 58, 82),
    "minuet": partial(play_lead, "minuet", 62, 83),
    "head": partial(play_lead, "head", 58, 79, dialect="chord", solo="chord"),
    "head-low": partial(play_lead, "head", 50, 70, dialect="chord", solo="chord"),
    "blues-head": partial(play_lead, "blues-head", 56, 77, dialect="blues", solo="chord"),
    "bossa-head": partial(play_lead, "bossa-head", 60, 79, dialect="chord", solo="chord"),
    "waltz-head": partial(play_lead, "waltz-head", 60, 79, dialect="chord", solo="chord"),
    "ballad-head": partial(play_lead, "lyric", 58, 77, dialect="chord", solo="chord"),
    "rag": partial(play_lead, "rag", 64, 84, solo="chord"),
    "counter": play_counter,
    "octave-up": partial(double, 12),
    "octave-down": partial(double, -12),
    "thirds": partial(double, -2),
    "sixths": partial(double, -5),
    **{f"voice-{n + 1}": partial(play_voice, n) for n in range(4)},
    **{f"fugue-{n + 1}": partial(play_fugue, n) for n in range(3)},
    **dict.fromkeys(patterns.BASS, play_bass),
    **dict.fromkeys(patterns.CHORD_FIGURES, play_chords),
}
