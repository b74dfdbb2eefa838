"""Styles of each genre, and the lasting habits that an artist draws from one."""

from dataclasses import dataclass, replace

import numpy as np

from genre_utils.data.composer.patterns import BASS, CHORD_FIGURES
from genre_utils.data.composer.players import Part

LOOPS = {  # roman numerals; the first loops serve verses, and any may serve the other sections
    "rock": ("I | bVII | IV | I", "I | IV | I | V", "I | IV | V | IV", "I | bVII | bVI | bVII",
             "vi | IV | I | V", "I | iii | IV | V", "I | V | ii | IV"),
    "rock minor": ("i | bVII | bVI | bVII", "i | bVI | bIII | bVII", "i | i | bIII | IV",
                   "i | bIII | bVII | IV", "i | iv | bVI | v", "i | bII | i | bVII"),
    "blues": ("I7 | I7 | I7 | I7 | IV7 | IV7 | I7 | I7 | V7 | IV7 | I7 | V7",
              "I7 | IV7 | I7 | I7 | IV7 | IV7 | I7 | I7 | V7 | IV7 | I7 | I7 V7"),
    "pop": ("I | V | vi | IV", "vi | IV | I | V", "I | vi | IV | V", "IV | V | iii | vi",
            "I | IV | vi | V", "IV | I | V | vi", "I | iii | IV | iv"),
    "pop minor": ("i | bVI | bIII | bVII", "i | bVII | bVI | bVII", "i | iv | bVII | bIII",
                  "bVI | bVII | i | i", "i | v | bVI | bVII"),
    "soul": ("Imaj7 | vi7 | ii7 | V7", "IVmaj7 | iii7 | ii7 | Imaj7", "ii7 | V7 | Imaj7 | vi7",
             "Imaj7 | iii7 | IVmaj7 | V7", "vi9 | ii9 | IVmaj7 | V"),
    "common practice": ("I | IV | V7 | I", "I | V | vi | iii | IV | I | ii V7 | I",
                        "I | ii | V7 | I", "I | vi | ii V7 | I", "I V | vi iii | IV I | ii V7",
                        "I | V7 | I | IV V7"),
    "common practice minor": ("i | iv | V7 | i", "i | bVI | iv V7 | i", "i | iiø7 | V7 | i",
                              "i | V7 | i bVI | iv V7", "i iv | bVII bIII | bVI iiø7 | V7"),
    "chorale": ("I V | vi iii | IV I | ii V7 | I IV | V vi | ii V7 | I",
                "I IV | I V | vi ii | V7 I", "I vi | IV V | I ii | V7 I",
                "vi V | I IV | ii V | vi IV | I V | I"),
    "chorale minor": ("i V | i iv | bVII bIII | iiø7 V7", "i bVI | iv V | i iiø7 | V7 i",
                      "i bVII | bVI V | iv i | V7 i"),
    "romantic": ("I | V | vi | iii | IV | iv | I V7 | I", "I | I7 | IV | iv | I | VI7 | II7 | V7",
                 "I | bVI | IV | V7", "vi | II7 | V7 | I", "Imaj7 | IVmaj7 | ii7 | Vsus4 V7"),
    "standards": ("ii7 | V7 | Imaj7 | Imaj7", "Imaj7 vi7 | ii7 V7 | iii7 VI7 | ii7 V13",
                  "ii9 | V13 | Imaj9 | VI7b9", "vi7 | II7 | ii7 V7 | Imaj7",
                  "Imaj7 | viiø7 III7b9 | vi7 | v7 I7 | IVmaj7 | iv7 bVII9 | iii7 VI7 | ii7 V7"),
    "minor standards": ("i6 | iiø7 V7b9 | i6 | iiø7 V7b9", "iiø7 | V7b9 | i7 | i6",
                        "iv7 | bVII7 | bIIImaj7 | bVImaj7 | iiø7 | V7b9 | i6 | i6",
                        "i7 | bVI7 V7b9 | i7 | iv7 bVII9"),
    "jazz blues": ("I7 | IV7 | I7 | v7 I7 | IV7 | #iv°7 | I7 | VI7b9 | ii7 | V7 | I7 VI7 | ii7 V7",
                   "I7 | IV7 | I7 | I7 | IV9 | IV9 | I7 | I13 | V7 | IV7 | I7 | V7",
                   "i7 | i7 | i7 | i7 | iv7 | iv7 | i7 | i7 | bVI7 | V7b9 | i7 | V7b9"),
    "modal jazz": ("i7 | i7 | i7 | i9", "i9 | i9 | IV13 | IV13", "i7 | i7 | bii7 | bii7",
                   "Imaj9 | Imaj9 | bIIImaj9 | bIIImaj9"),
    "fusion": ("i9 | IV9", "i7 | bVImaj7 | bVII13 | i9", "i9 | bIIImaj9 | bVImaj7 | V7b9",
               "Imaj9 | bVII9 | IVmaj9 | bVII13"),
    "rag": ("I | VI7 | II7 | V7 I", "I | I7 | IV iv | I V7", "I | #i°7 | V7 | V7 I"),
}  # fmt: skip
MINOR_MODES = ("aeolian", "harmonic minor", "phrygian", "dorian")
MINOR_LOOPS = {"pop": "pop minor", "rock": "rock minor", "standards": "minor standards",
               "romantic": "common practice minor", "common practice": "common practice minor",
               "chorale": "chorale minor"}  # fmt: skip
ACOUSTIC = {  # General MIDI programs and what replaces them in an acoustic session
    2: 0, 4: 0, 5: 0, 7: 0, 16: 20, 17: 20, 18: 20, 26: 24, 27: 24, 28: 25, 29: 25, 30: 25,
    33: 32, 34: 32, 35: 32, 36: 32, 38: 43, 39: 32, 50: 48, 51: 49, 62: 46, 80: 73, 81: 40,
    82: 71, 85: 68, 87: 42, 88: 46, 89: 49, 90: 48, 91: 52,
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """A way to make music: tempo range, modes, harmony, grooves, and who plays what.

    A part is written ``"figure|figure program/program section,section"``: figures and General MIDI
    programs of which an artist chooses, and the sections where it is heard, if not in all.
    """

    tempo: tuple
    modes: str
    loops: str
    parts: dict
    grooves: str = ""
    kits: tuple = (0, 8)
    swing: tuple = (0.5, 0.5)
    metre: int = 4
    rubato: tuple = (0.0, 0.01)


def style(tempo, modes, loops, *, grooves="", kits=(0, 8), swing=(0.5, 0.5), metre=4,
          rubato=(0.0, 0.01), **parts):  # fmt: skip
    """Write a style on a few lines; underscores in the names of parts are spaces."""
    parts = {role.replace("_", " "): text for role, text in parts.items()}
    return Style(tempo, modes, loops, parts, grooves, kits, swing, metre, rubato)


SWING, BALLAD_SWING = (0.6, 0.67), (0.57, 0.64)
FREE = (0.02, 0.06)
STYLES = {
    "rock": {
        "hard rock": style((112, 150), "aeolian,dorian,mixolydian", "rock minor",
            grooves="rock,heavy,driving", kits=(16, 0),
            bass="driving|eighths 34", guitar="chugs 30/29", second_guitar="power 29/30",
            melody="rock-vocal 54/85/65", solo="rock-solo 30 solo"),
        "punk": style((160, 200), "ionian,mixolydian", "rock", grooves="punk,driving",
            kits=(0, 8), bass="eighths 34", guitar="power|chugs 30",
            melody="rock-vocal 81/87/53"),
        "blues rock": style((88, 132), "mixolydian,dorian", "blues", grooves="shuffle",
            swing=(0.6, 0.67), kits=(0, 8),
            bass="boogie 33/34", guitar="chugs 29", keys="stabs 16/1", melody="rock-solo 29/27/22"),
        "rock ballad": style((62, 84), "ionian,aeolian", "rock", grooves="rock ballad",
            kits=(0, 8), bass="roots 33/35", guitar="broken|strum 25",
            piano="ballad 0 chorus,solo", strings="pad 48/49 chorus,solo",
            melody="anthem 53/54/68"),
        "folk rock": style((96, 132), "ionian,mixolydian", "rock",
            grooves="soft pop,rock,tom tribal", kits=(0, 8), bass="root-fifth 32/33",
            guitar="strum 25", second_guitar="jangle 25/27", melody="hook-low 22/53/73"),
        "indie rock": style((120, 152), "ionian,dorian", "rock",
            grooves="driving,tom tribal,rock", bass="eighths 34/33", guitar="jangle 27",
            second_guitar="power 29 chorus", melody="rock-vocal 53/80/54"),
        "symphonic rock": style((84, 128), "aeolian,harmonic minor", "rock minor",
            grooves="rock,heavy,tom tribal", kits=(16, 0), bass="eighths|roots 34",
            guitar="power 30/29", strings="repeated|pad 48/44", organ="arpeggio 19/18/6",
            melody="anthem 40/60/68", solo="rock-solo 30 solo"),
        "organ rock": style((100, 140), "mixolydian,dorian", "rock", grooves="rock,funk rock",
            bass="syncopated|driving 33/36", organ="stabs|quarters 18/17/16", guitar="riff 29",
            melody="rock-solo 18/29/66"),
        "rockabilly": style((150, 190), "mixolydian,ionian", "blues", grooves="shuffle",
            swing=(0.58, 0.65), kits=(0, 32), bass="boogie|root-fifth 32",
            guitar="offbeats|strum 26/27", melody="rock-vocal 27/66/3",
            piano="piano-eighths 3/1 chorus,solo"),
        "grunge": style((84, 120), "aeolian,phrygian", "rock minor", grooves="heavy,rock",
            kits=(16, 8), bass="eighths 34", guitar="riff 30", second_guitar="power 30 chorus",
            melody="hook-low 85/54/29"),
        "piano rock": style((104, 144), "ionian", "rock", grooves="rock,driving",
            bass="driving|root-fifth 33", piano="piano-eighths 0/1/2",
            guitar="power 29/27 chorus,solo", melody="rock-vocal 65/53/66"),
        "post-rock": style((76, 112), "ionian,lydian,aeolian", "rock",
            grooves="tom tribal,rock ballad", kits=(8, 0), bass="long|eighths 33",
            guitar="jangle 27/28", second_guitar="tremolo 29/27 chorus", pad="pad 89/49",
            melody="anthem 11/27/42"),
    },
    "pop": {
        "dance pop": style((116, 130), "ionian,aeolian", "pop", grooves="four on the floor,disco",
            kits=(24, 25), bass="octaves|syncopated 38/39", synth="stabs|sequencer 81/90/62",
            pad="pad 89/50", melody="hook 80/81/54"),
        "synth pop": style((100, 126), "aeolian,dorian", "pop minor",
            grooves="pop,four on the floor", kits=(24, 25), bass="eighths|octaves 38/39",
            sequencer="sequencer 80/88/81", pad="pad 50/51/90", melody="hook 82/54/87"),
        "piano ballad": style((62, 84), "ionian", "pop", grooves="soft pop,slow jam", kits=(0, 8),
            bass="long|roots 33/35", rubato=(0, 0.02),
            piano="ballad|quarters 0/1", strings="pad 48/49 chorus,bridge", melody="hook 53/73/68"),
        "acoustic pop": style((84, 120), "ionian,mixolydian", "pop", grooves="soft pop,pop",
            kits=(0, 40), bass="root-fifth 32/33", guitar="strum|jangle 24/25",
            bells="arpeggio 9/11 chorus", melody="hook-low 53/73/22"),
        "chamber pop": style((80, 116), "ionian,lydian", "pop", grooves="soft pop,tom tribal",
            kits=(8, 48), bass="cello 42/43/32", piano="repeated|quarters 0/6",
            strings="counter|repeated 48/40", wind="thirds 71/68 chorus", melody="hook 73/53/40"),
        "disco funk": style((108, 124), "dorian,mixolydian", "soul",
            grooves="disco,four on the floor", kits=(0, 8), bass="funk|octaves 36/33",
            guitar="funk-guitar 27/28", strings="counter 48", brass="stabs 61/62 chorus",
            melody="hook 54/53/65"),
        "latin pop": style((88, 104), "aeolian,ionian,harmonic minor", "pop minor",
            grooves="dembow,bossa", kits=(25, 0), bass="dub|syncopated 39/33",
            guitar="jangle|skank 24", pad="pad 89/48", melody="hook 53/56/12"),
        "slow jam": style((66, 92), "ionian,dorian", "soul", grooves="slow jam,half time",
            kits=(25, 24), bass="syncopated|dub 39/35", keys="chords|ballad 4/5", pad="pad 89/52",
            melody="hook-low 54/65/53"),
        "power pop": style((124, 152), "ionian", "pop", grooves="rock,driving", kits=(0, 8),
            bass="eighths 34/33", guitar="power|piano-eighths 29/27", keys="quarters 16/90",
            melody="hook 53/80/54"),
        "bedroom pop": style((76, 104), "ionian,lydian", "soul", grooves="half time,pop",
            kits=(25, 24), bass="roots|syncopated 38/35", keys="chords 4/88/11",
            guitar="jangle 27", melody="hook-low 53/79/82"),
        "reggae pop": style((76, 96), "ionian,aeolian", "pop", grooves="soft pop,slow jam",
            bass="dub 33/38", guitar="skank 27/16", keys="chords 16/5 chorus",
            melody="hook 66/53/57", swing=(0.5, 0.58)),
        "big chorus": style((92, 124), "ionian,aeolian", "pop", grooves="half time,syncopated",
            kits=(24, 16), bass="long|eighths 39/38", piano="quarters 0/2",
            choir="pad 52/91 chorus", lead="octave-up 81/80 chorus", melody="anthem 54/53"),
    },
    "classical": {
        "string quartet": style((66, 132), "ionian,harmonic minor", "common practice",
            rubato=FREE, melody="theme 40", second_violin="alberti|repeated 40",
            viola="counter 41", bass="cello 42"),
        "piano sonata": style((96, 152), "ionian,harmonic minor", "common practice",
            rubato=(0.01, 0.04), melody="theme|running 0/1", piano="alberti|arpeggio 0"),
        "nocturne": style((60, 88), "ionian,harmonic minor", "romantic", rubato=(0.05, 0.11),
            melody="lyric 0/1", piano="nocturne|broken 0/1"),
        "chorale": style((60, 84), "ionian,aeolian", "chorale", rubato=FREE,
            soprano="voice-1 52/19/68/57", alto="voice-2 52/19/71/60",
            tenor="voice-3 52/19/70/57", bass="voice-4 52/19/70/58"),
        "fugato": style((72, 112), "harmonic minor,ionian", "common practice",
            rubato=(0.005, 0.02), soprano="fugue-1 6/19/40/0", alto="fugue-2 6/19/41/0",
            bass="fugue-3 6/19/42/0"),
        "minuet": style((104, 144), "ionian", "common practice", metre=3, rubato=(0.01, 0.03),
            melody="minuet 40/73/48", thirds="thirds 40/68 B", strings="waltz 48/45",
            bass="waltz-bass 42/43/70"),
        "symphony": style((88, 144), "ionian,harmonic minor", "romantic", rubato=FREE,
            melody="theme 48", winds="thirds 73/71/68", horns="counter 60",
            strings="tremolo|repeated 44/48", bass="cello 43/42", timpani="timpani 47 B",
            brass="chords 61/56 B"),
        "woodwinds": style((76, 126), "ionian,lydian", "common practice", rubato=FREE,
            melody="theme 73/68", clarinet="alberti|arpeggio 71", horn="counter 60/69",
            bass="cello|oompah 70"),
        "guitar solo": style((66, 108), "aeolian,harmonic minor,phrygian",
            "common practice minor", rubato=FREE, melody="lyric 24", guitar="broken|nocturne 24"),
        "cello sonata": style((60, 100), "aeolian,harmonic minor", "romantic",
            rubato=(0.03, 0.08), melody="lyric-low 42/41", piano="arpeggio|broken|chords 0"),
        "synthesised baroque": style((84, 126), "ionian,harmonic minor", "common practice",
            rubato=(0, 0.01), melody="running|theme 80/81/6", synth="arpeggio|alberti 81/62/50",
            bass="cello 39/38", counter="counter 50/52"),
        "harp and flute": style((64, 96), "lydian,dorian,ionian", "romantic", rubato=FREE,
            melody="lyric 73/68", harp="arpeggio|broken 46", strings="pad 49/48 B"),
        "concert waltz": style((138, 172), "ionian", "romantic", metre=3, rubato=FREE,
            melody="minuet 48/40/0", strings="waltz 48/45/0", bass="waltz-bass 43/0",
            winds="sixths 71/73 B", kits=(48,)),
        "brass fanfare": style((88, 120), "ionian,mixolydian", "common practice",
            rubato=(0.01, 0.03), melody="theme 56", second="thirds 56", horns="chords|counter 60",
            bass="oompah|cello 58/57", timpani="timpani 47"),
    },
    "jazz": {
        "piano trio": style((120, 208), "ionian,aeolian", "standards",
            grooves="swing,bop,brushes", kits=(32, 40), swing=SWING, melody="head 0/1",
            piano="charleston|comping 0", bass="walking 32"),
        "bop quintet": style((168, 236), "ionian,mixolydian", "standards", grooves="bop,swing",
            kits=(32, 0), swing=(0.56, 0.63), melody="head 65/66/56",
            second_horn="octave-down 66/57 head", piano="comping 0/1", bass="walking 32"),
        "ballad trio": style((56, 76), "ionian,aeolian", "standards", grooves="brushes",
            kits=(40,), swing=BALLAD_SWING, rubato=FREE, melody="ballad-head 0/66/56/71",
            piano="lay-out|chords 0/0/4", bass="two-feel 32"),
        "big band": style((116, 180), "ionian,mixolydian", "jazz blues", grooves="swing",
            kits=(0, 32), swing=SWING, melody="head 66/65/61", saxes="thirds 65/66 head",
            brass="swing-hits 61/57/56", guitar="freddie-green 26", bass="walking 32",
            piano="lay-out 0"),
        "bossa nova": style((112, 152), "ionian,dorian", "standards", grooves="bossa",
            kits=(40, 0), melody="bossa-head 73/66/24", guitar="bossa-guitar 24",
            bass="bossa 32/33"),
        "guitar trio": style((108, 184), "ionian,dorian", "minor standards",
            grooves="swing,brushes", kits=(32, 40), swing=SWING, melody="head-low 26/27",
            guitar="lay-out|charleston 26", bass="walking 32"),
        "organ trio": style((104, 160), "mixolydian,dorian", "jazz blues",
            grooves="swing,shuffle", kits=(0, 32), swing=SWING, melody="blues-head 26/66/16",
            organ="charleston|stabs 16/17", bass="walking 32/38"),
        "fusion": style((92, 132), "dorian,mixolydian", "fusion", grooves="fusion,funk rock",
            kits=(0, 16), bass="funk|syncopated 36/35/33", keys="comping|funk-guitar 4/5/7",
            pad="pad 89/50 head", melody="head 29/30/65/81"),
        "modal quartet": style((112, 190), "dorian", "modal jazz", grooves="modal,swing",
            kits=(32,), swing=(0.56, 0.63), melody="head 64/66/56", piano="quartal|comping 0",
            bass="walking 32"),
        "vibraphone cool": style((104, 160), "ionian,dorian", "minor standards",
            grooves="brushes,swing", kits=(40, 32), swing=BALLAD_SWING, melody="head 11",
            piano="lay-out|charleston 0/26", bass="walking|two-feel 32"),
        "gypsy jazz": style((150, 220), "harmonic minor,ionian", "minor standards",
            swing=(0.58, 0.66), melody="head 40/71/25", guitar="la-pompe 25",
            second_guitar="freddie-green 25/24", bass="oompah|walking 32"),
        "stride and rag": style((84, 116), "ionian", "rag", swing=(0.5, 0.62), melody="rag 0/3",
            piano="stride 0/3", bass="two-feel 58/32 solo"),
        "trad band": style((132, 190), "ionian,mixolydian", "rag", grooves="trad,shuffle",
            kits=(0,), swing=SWING, melody="blues-head 56/59", clarinet="octave-up 71",
            trombone="counter 57", banjo="freddie-green 105", bass="oompah 58/32"),
        "jazz waltz": style((132, 184), "ionian,dorian", "standards", grooves="jazz waltz",
            kits=(32, 40), swing=SWING, metre=3, melody="waltz-head 73/65/0/11",
            piano="waltz 0/4", bass="walking 32"),
        "soul jazz": style((96, 128), "dorian,mixolydian", "fusion",
            grooves="syncopated,funk rock", kits=(0, 8), melody="blues-head 66/56/67",
            keys="stabs|comping 4/16/0", guitar="funk-guitar 26/27",
            bass="syncopated|funk 33/32"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Habits:
    """What stays the same from piece to piece of one artist."""

    style: str
    parts: tuple
    tempo: tuple
    tonics: tuple
    modes: tuple
    loops: tuple
    groove: str
    swing: float  # share of a beat before an off-beat eighth: 0.5 is straight
    metre: int
    rubato: float  # relative depth of the changes of tempo
    looseness: float  # standard deviation of the players' timing in seconds
    density: float
    dynamics: float
    touch: float
    fills: float
    unplugged: float


def level_of(role, figure):
    """Channel volume of a part before the artist's own balance: the melody leads."""
    if role in ("melody", "soprano"):
        return 104
    if figure in BASS or figure == "walking":
        return 82
    if figure in ("chugs", "power", "riff", "strum"):
        return 98
    return 64 if figure in ("pad", "tremolo", "sequencer", "counter") else 78


CHOIRS = ("soprano", "alto", "tenor")


def aligned(text, choice):
    """Take the same place in every voice's list of programs: a choir is a choir."""
    figure, *programs = text.replace("/", " ").split()
    return f"{figure} {programs[choice % len(programs)]}"


def draw_part(role, text, rng):
    """Choose figure, program and loudness of one part from its line in a style."""
    figures, programs, *sections = text.split(" ")
    figure = str(rng.choice(figures.split("|")))
    program = int(rng.choice(programs.split("/")))
    level = int(np.clip(level_of(role, figure) * rng.uniform(0.75, 1.18), 30, 127))
    shift = int(rng.choice((-3, 0, 0, 4) if figure in CHORD_FIGURES else (-5, 0, 0, 3)))
    held = tuple(sections[0].split(",")) if sections else ()
    return Part(role, figure, program, level, held, 0 if figure in BASS else shift)


def draw_habits(genre, style_name, rng):
    """Draw the lasting habits of an artist who works in one style."""
    style = STYLES[genre][style_name]
    choice = int(rng.integers(4))  # artists agree about programs that belong together
    parts = [
        draw_part(role, aligned(text, choice) if role in CHOIRS else text, rng)
        for role, text in style.parts.items()
    ]
    if style.grooves:
        level = int(np.clip(96 * rng.uniform(0.7, 1.2), 40, 127))
        parts.append(Part("drums", "kit", int(rng.choice(style.kits)), level))
    slow, fast = style.tempo
    centre = rng.uniform(slow, fast)
    loops = LOOPS[style.loops]
    modes = tuple(style.modes.split(","))
    return Habits(
        style=style_name,
        parts=tuple(parts),
        tempo=(float(max(slow, centre * 0.92)), float(min(fast, centre * 1.08))),
        tonics=tuple(int(t) for t in rng.choice(12, 3, replace=False)),
        modes=tuple(str(m) for m in rng.choice(modes, min(2, len(modes)), replace=False)),
        loops=tuple(int(i) for i in rng.choice(len(loops), min(3, len(loops)), replace=False)),
        groove=str(rng.choice(style.grooves.split(","))),
        swing=float(rng.uniform(*style.swing)),
        metre=style.metre,
        rubato=float(rng.uniform(*style.rubato)),
        looseness=float(rng.uniform(0.002, 0.012)),
        density=float(rng.uniform(0.15, 0.9)),
        dynamics=float(rng.uniform(0.05, 0.35)),
        touch=float(rng.uniform(72, 116)),
        fills=float(rng.uniform(0.0, 1.0)),
        unplugged=0.75 if rng.random() < 1 / 6 else 0.1,
    )


def draw_repertoire(genre, style_names, rng):
    """Draw habits for several styles of one artist, whose hand is the same in all of them."""
    main, *others = [draw_habits(genre, name, rng) for name in style_names]
    same = ("tonics", "density", "looseness", "dynamics", "touch", "fills", "unplugged")
    hand = {name: getattr(main, name) for name in same}
    return (main, *[replace(habits, **hand) for habits in others])
