"""The composed corpus: fictitious artists, their recordings, and the folder they are kept in.

Everything follows from the settings: each track has a random stream of its own, made from the
seed, its genre, its artist's number and its own, so that neither the order of work nor the other
genres can change it.
"""

import csv
import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy import fft, signal

from genre_utils import composer, files

GENERATOR_VERSION = "1"
DEFAULT_GENRES = ("rock", "pop", "classical", "jazz")
SAMPLE_RATE = 22_050
DRUM_CHANNEL = 9
MISSING_SYNTH = (
    "The composed corpus is rendered with tinysoundfont, which is not installed. Install it with\n"
    "    pip install --no-deps -r requirements-nodeps.txt"
)


def words(text):
    """Split a list of words."""
    return tuple(text.split())


FIRST_NAMES = {
    "classical": words(
        "Alarik Benedetta Casimir Dorothea Emeric Faustina Gotthilf Hedda Ignatz Jolanthe Kasimira "
        "Leopoldine Matthis Nepomuk Ottavia Piroska Quirin Rosalind Severin Theodora"
    ),
    "jazz": words(
        "Amos Bertie Cleo Dex Earline Floyd Gus Hattie Ike Junie Kermit Lottie Moe Nettie Otis "
        "Pearlie Roscoe Sadie Thad Willa"
    ),
    "pop": words(
        "Aya Bexley Cassia Dalia Eliot Fenn Gia Halo Indra Jory Kaia Lumi Mika Nova Oona Pim Remy "
        "Sanna Tavi Zuri"
    ),
}
LAST_NAMES = words(
    "Abernoll Brandquist Calloweth Drummelin Estermark Fallowby Grantzow Hollisterne Ivarsund "
    "Jessamard Kettlewick Lindqvaard Marrowgate Nightinger Ollenbach Pemberlow Quillfeather "
    "Rosenmoor Silberthal Tannenwick Underhollow Vanterpoole Wexelblum Yarrowdale Zimmerlund "
    "Applewhaite Birkendorf Cloverstone Dovercombe Eisenfeld"
)
BAND_WORDS = words(
    "Copper Midday Velour Tin Hollow Argon Rusty Mumbling Crooked Diesel Saffron Gilded Feral "
    "Distant Maroon Plastic Wandering Thawing Smouldering Static"
)
BAND_THINGS = words(
    "Herons Turbines Lanterns Weasels Cathedrals Sputniks Orchards Harbours Otters Mirrors "
    "Thistles Comets Anchors Canals Pilots Magpies Furnaces Horizons Badgers Semaphores"
)
ENSEMBLES = ("Trio", "Quartet", "Quintet", "Group", "Orchestra", "Collective")


@dataclass(frozen=True)
class Mix:
    """How an artist's recordings sound, whatever is played."""

    tilt: float  # dB per octave around 1 kHz
    bells: tuple  # (Hz, dB) bumps of the equaliser
    low_cut: float  # Hz
    bandwidth: float  # Hz
    hiss: float  # dB below the music
    hiss_colour: float  # slope of the noise, 0 white to 1 pink
    room: float  # seconds of reverberation
    wet: float  # share of it
    drive: float  # compression and saturation, 0 none to 1 flat
    loudness: float  # peak in dB below full scale


@dataclass(frozen=True)
class Artist:
    """A fictitious artist: a name, musical habits and a sound."""

    genre: str
    number: int
    name: str
    repertoire: tuple  # of composer.Habits: the main style first, then the others
    mix: Mix

    @property
    def slug(self):
        """Name as it is written in file names."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.name.lower()).split())

    @property
    def description(self):
        """The artist in one line of words."""
        mix, habits = self.mix, self.repertoire[0]
        others = " and ".join(other.style for other in self.repertoire[1:])
        line_up = ", ".join(part.role for part in habits.parts)
        return (
            f"{self.name} ({self.genre}): {habits.style} at {habits.tempo[0]:.0f} to "
            f"{habits.tempo[1]:.0f} beats per minute, {' or '.join(habits.modes)}; {line_up}; "
            f"also {others}; {mix.room:.1f} s room, {mix.bandwidth / 1000:.1f} kHz bandwidth, "
            f"hiss {mix.hiss:.0f} dB down"
        )


@dataclass(frozen=True)
class Track:
    """A track that can be composed: what it is called, who plays it, and its random stream."""

    track_id: str
    artist: Artist
    number: int
    seed: int

    @property
    def habits(self):
        """Habits at work: three tracks of five are in the main style, the others are excursions."""
        return self.artist.repertoire[(0, 1, 0, 2, 0)[(self.number - 1) % 5]]


def stream(*words):
    """Seed sequence that depends on the words alone (Python's own hash differs between runs)."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return np.random.SeedSequence(int.from_bytes(digest[:16], "little"))


def make_name(genre, rng):
    """Invent the name of a band, a composer or an ensemble."""
    if genre == "rock":
        return f"{rng.choice(('The ', ''))}{rng.choice(BAND_WORDS)} {rng.choice(BAND_THINGS)}"
    first = FIRST_NAMES.get(genre, FIRST_NAMES["pop"])
    name = f"{rng.choice(first)} {rng.choice(LAST_NAMES)}"
    return f"{name} {rng.choice(ENSEMBLES)}" if genre == "jazz" else name


MIX_CUSTOMS = {  # how engineers like it: tilt, room, drive, bells; artists scatter around them
    "rock": (0.6, 0.6, 0.6, ((2500, 2.0), (110, 1.0))),
    "pop": (0.7, 0.7, 0.55, ((70, 3.0), (7000, 2.0))),
    "classical": (-0.4, 1.7, 0.1, ((400, 1.0),)),
    "jazz": (-0.5, 0.9, 0.25, ((250, 2.0), (5000, 1.0))),
}


def draw_bells(rng, spread):
    """Draw two bumps of an equaliser anywhere between 150 Hz and 6 kHz."""
    hertz = np.exp(rng.uniform(np.log(150), np.log(6000), 2))
    return tuple(zip(hertz.tolist(), rng.normal(0, spread, 2).tolist(), strict=True))


def draw_mix(genre, rng):
    """Draw an artist's sound; one artist in six makes old recordings, in any genre."""
    tilt, room, drive, bells = MIX_CUSTOMS.get(genre, (0.0, 0.9, 0.3, ()))
    old = rng.random() < 1 / 6
    return Mix(
        tilt=float(rng.normal(tilt, 0.65)),
        bells=(*bells, *draw_bells(rng, 2.0)),
        low_cut=float(rng.uniform(90, 200) if old else rng.uniform(20, 60)),
        bandwidth=float(rng.uniform(4000, 7000) if old else rng.uniform(8000, 11000)),
        hiss=float(rng.uniform(28, 42) if old else rng.uniform(45, 75)),
        hiss_colour=float(rng.uniform(0, 1)),
        room=float(np.clip(room * np.exp(rng.normal(0, 0.4)), 0.2, 2.8)),
        wet=float(rng.uniform(0.05, 0.4)),
        drive=float(np.clip(rng.normal(drive, 0.2), 0, 1)),
        loudness=float(rng.uniform(1, 6)),
    )


def make_artists(genre, n_artists=20, seed=0):
    """Invent the artists of a genre.

    The first artists are the same however many are made. Styles are dealt round, so that
    every style has an artist before any has two.

    Parameters
    ----------
    genre : str
        A genre of ``composer.GENRES``.
    n_artists : int, default=20
        How many.
    seed : int, default=0
        Seed of the corpus.

    Returns
    -------
    tuple of Artist
    """
    styles = list(composer.STYLES[genre])
    np.random.default_rng(stream(seed, genre, "styles")).shuffle(styles)
    artists, names = [], set()
    for number in range(n_artists):
        rng = np.random.default_rng(stream(seed, genre, "artist", number))
        name = make_name(genre, rng)
        while name in names:
            name = make_name(genre, rng)
        names.add(name)
        main = styles[number % len(styles)]
        others = rng.choice([style for style in styles if style != main], 2, replace=False)
        repertoire = composer.draw_repertoire(genre, (main, *others.tolist()), rng)
        artists.append(Artist(genre, number, name, repertoire, draw_mix(genre, rng)))
    return tuple(artists)


def track_plan(*, genres=DEFAULT_GENRES, artists_per_genre=20, tracks_per_artist=5, seed=0):
    """List the tracks of a corpus without composing them.

    Returns
    -------
    list of Track
        In order of genre, artist and number; a track's ``track_id`` is
        ``"GENRE/ARTIST-SLUG_NN"``.
    """
    return [
        Track(f"{genre}/{artist.slug}_{number:02d}", artist, number, seed)
        for genre in genres
        for artist in make_artists(genre, artists_per_genre, seed)
        for number in range(1, tracks_per_artist + 1)
    ]


def score(track, seconds=30.0):
    """Compose a track of :func:`track_plan`.

    Returns
    -------
    pretty_midi.PrettyMIDI
    """
    artist = track.artist
    seed = stream(track.seed, artist.genre, artist.number, track.number, "score")
    return composer.compose(artist.genre, track.habits, seed, seconds)


def score_of(track_id, *, seconds=30.0, **settings):
    """Compose the track of that name; `settings` are those of :func:`track_plan`.

    Raises
    ------
    KeyError
        If the corpus has no such track.
    """
    genre = track_id.split("/")[0]
    if genre in composer.GENRES:
        for track in track_plan(**{**settings, "genres": (genre,)}):
            if track.track_id == track_id:
                return score(track, seconds)
    raise KeyError(f"no track {track_id!r} in the composed corpus with settings {settings}")


def soundfont_path():
    """Path of the soundfont that pretty_midi ships."""
    return Path(importlib.util.find_spec("pretty_midi").origin).parent / "TimGM6mb.sf2"


def load_synth():
    """Import tinysoundfont, or say how to install it."""
    try:
        import tinysoundfont
    except ImportError as error:
        raise ModuleNotFoundError(MISSING_SYNTH, name="tinysoundfont") from error
    return tinysoundfont


def events_of(instrument):
    """Timed synthesiser calls of an instrument: (seconds, order, method, arguments)."""
    on = [(n.start, 1, "noteon", (n.pitch, n.velocity)) for n in instrument.notes]
    off = [(n.end, 0, "noteoff", (n.pitch,)) for n in instrument.notes]
    return sorted(on + off)


def render_stem(instrument, seconds, sample_rate):
    """Play one instrument alone, to the sample."""
    synth = load_synth().Synth(gain=-6, samplerate=sample_rate)
    font = synth.sfload(str(soundfont_path()))
    channel, bank = (DRUM_CHANNEL, 128) if instrument.is_drum else (0, 0)
    synth.program_select(channel, font, bank, instrument.program, instrument.is_drum)
    total = round(seconds * sample_rate)
    stereo = np.zeros(total * 2, dtype=np.float32)
    raw, done = memoryview(stereo).cast("B"), 0
    for time, _, method, arguments in [*events_of(instrument), (seconds, 2, "noteoff", (0,))]:
        due = min(total, round(time * sample_rate))
        if due > done:
            synth.generate_simple(due - done, buffer=raw[done * 8 : due * 8])
            done = due
        getattr(synth, method)(channel, *arguments)
    return stereo.reshape(-1, 2).mean(axis=1)


def loudness(y, sample_rate):
    """Root mean square without the lowest octaves, where there is sound at all."""
    audible = signal.lfilter(*signal.butter(1, 150, "highpass", fs=sample_rate), y)
    frames = audible[: len(y) // 1024 * 1024].reshape(-1, 1024)
    power = np.mean(frames**2, axis=1)
    return np.sqrt(np.mean(power[power >= 1e-3 * power.max()]) + 1e-18)


def render(midi, seconds=30.0, *, sample_rate=SAMPLE_RATE):
    """Play a piece on the soundfont, dry, with every instrument at its own fader.

    The soundfont's instruments differ by 30 dB at the same velocity, so each is brought to equal
    loudness before its channel volume (controller 7) is applied; 100 is 0 dB.

    Parameters
    ----------
    midi : pretty_midi.PrettyMIDI
        The piece.
    seconds : float, default=30.0
        Length of the result.
    sample_rate : int, default=22050
        In Hz.

    Returns
    -------
    y : numpy.ndarray, shape (seconds * sample_rate,)
        Mono, float32, not yet scaled to any level.
    sample_rate : int

    Raises
    ------
    ModuleNotFoundError
        If tinysoundfont is not installed; the message says how to install it.
    """
    y = np.zeros(round(seconds * sample_rate), dtype=np.float32)
    for instrument in midi.instruments:
        stem = render_stem(instrument, seconds, sample_rate)
        faders = [c.value for c in instrument.control_changes if c.number == 7]
        gain = ((faders or [100])[0] / 100) ** 2
        y += (0.1 * gain / loudness(stem, sample_rate)).astype(np.float32) * stem
    return y, sample_rate


def equalise(y, sample_rate, mix):
    """Tilt, bells, low cut and bandwidth in one pass through the spectrum."""
    size = fft.next_fast_len(len(y) + sample_rate // 4, real=True)
    hz = np.maximum(fft.rfftfreq(size, 1 / sample_rate), 1.0)
    octaves = np.clip(np.log2(hz / 1000), -4, 4)
    decibels = mix.tilt * octaves
    for centre, gain in mix.bells:
        decibels += gain * np.exp(-0.5 * np.log2(hz / centre) ** 2 / 0.5**2)
    curve = 10 ** (decibels / 20)
    curve /= np.sqrt(1 + (hz / mix.bandwidth) ** 12) * np.sqrt(1 + (mix.low_cut / hz) ** 4)
    return fft.irfft(fft.rfft(y, size) * curve, size)[: len(y)].astype(np.float32)


def add_room(y, sample_rate, mix, rng):
    """Add a room: decaying noise that loses its highs first."""
    length = int(mix.room * sample_rate)
    time = np.arange(length) / sample_rate
    impulse = rng.standard_normal(length) * np.exp(-6.9 * time / mix.room)
    impulse = signal.lfilter([0.35], [1, -0.65], impulse)
    impulse[: int(0.012 * sample_rate)] = 0
    impulse /= np.sqrt(np.sum(impulse**2))
    tail = signal.oaconvolve(y, impulse.astype(np.float32))[: len(y)]
    return y * (1 - mix.wet) + tail * mix.wet


def compress(y, sample_rate, drive):
    """Level the loud and the quiet, then saturate softly."""
    smooth = np.exp(-1 / (0.05 * sample_rate))
    power = signal.lfilter([1 - smooth], [1, -smooth], y.astype(np.float64) ** 2)
    level = np.sqrt(power) + 0.02
    levelled = y / level**drive / np.mean(level ** (1 - drive)) * 0.25
    return np.tanh(levelled * (1 + drive))


def noise(length, colour, rng):
    """Noise of unit power between white (0) and pink (1)."""
    size = fft.next_fast_len(length, real=True)
    spectrum = fft.rfft(rng.standard_normal(size))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (colour / 2)
    hiss = fft.irfft(spectrum, size)[:length]
    return hiss / np.std(hiss)


def vary_mix(mix, rng):
    """Vary an artist's sound from session to session; one in eight is taped on a poor machine."""
    poor = rng.random() < 1 / 8
    return Mix(
        tilt=mix.tilt + rng.normal(0, 0.7),
        bells=(*mix.bells, *draw_bells(rng, 3.0)),
        low_cut=mix.low_cut * rng.uniform(0.8, 1.25),
        bandwidth=rng.uniform(4000, 7000) if poor else mix.bandwidth * rng.uniform(0.85, 1.1),
        hiss=rng.uniform(25, 40) if poor else mix.hiss + rng.normal(0, 6),
        hiss_colour=float(np.clip(mix.hiss_colour + rng.normal(0, 0.2), 0, 1)),
        room=float(np.clip(mix.room * np.exp(rng.normal(0, 0.2)), 0.2, 2.8)),
        wet=float(np.clip(mix.wet + rng.normal(0, 0.08), 0, 0.6)),
        drive=float(np.clip(mix.drive + rng.normal(0, 0.12), 0, 1)),
        loudness=mix.loudness + rng.uniform(0, 8),
    )


def record(y, sample_rate, mix, rng):
    """Put a dry rendering through an artist's room, desk and tape.

    Returns
    -------
    numpy.ndarray
        Float32, peak ``mix.loudness`` dB below full scale.
    """
    y = y / (np.sqrt(np.mean(y**2)) + 1e-9) * 0.15
    y = equalise(add_room(y, sample_rate, mix, rng), sample_rate, mix)
    y = y / (np.sqrt(np.mean(y**2)) + 1e-9) * 0.15
    y = compress(y, sample_rate, mix.drive)
    hiss = noise(len(y), mix.hiss_colour, rng) * np.sqrt(np.mean(y**2)) * 10 ** (-mix.hiss / 20)
    y = y + hiss
    return (y / np.max(np.abs(y)) * 10 ** (-abs(mix.loudness) / 20)).astype(np.float32)


def perform_track(track, seconds=30.0):
    """Compose, render and record one track.

    Returns
    -------
    y : numpy.ndarray
        Mono, float32.
    sample_rate : int
    """
    y, sample_rate = render(score(track, seconds), seconds)
    artist = track.artist
    rng = np.random.default_rng(
        stream(track.seed, artist.genre, artist.number, track.number, "record")
    )
    return record(y, sample_rate, vary_mix(artist.mix, rng), rng), sample_rate


def write_track(track, folder, seconds):
    """Write one track as FLAC unless it is there."""
    import soundfile

    path = Path(folder) / f"{track.track_id}.flac"
    if not path.exists():
        y, sample_rate = perform_track(track, seconds)
        with files.written_whole(path) as temporary:
            soundfile.write(temporary, y, sample_rate, subtype="PCM_16", format="FLAC")


@cache
def generator_hash():
    """Hash of everything that shapes the corpus: this source, the composer's, the soundfont."""
    package = Path(__file__).parent
    sources = [*sorted(package.glob("composer*.py")), Path(__file__), soundfont_path()]
    return files.sha256(*[path.read_bytes() for path in sources])


def clear_other_corpus(folder, found):
    """Remove the tracks of a corpus that was composed here with other settings."""
    others = [p for p in folder.iterdir() if p.name[0] != "."] if folder.exists() else []
    if others and "generator" not in found:
        raise FileExistsError(
            f"{folder} holds files that are no composed corpus; choose an empty folder"
        )
    if (folder / "tracks.csv").exists():
        files.write_json(folder / "corpus.json", {**found, "complete": False})
        for path in listed_paths(folder):
            path.unlink(missing_ok=True)


def listed_paths(folder):
    """Paths of the tracks in ``tracks.csv``, in its order."""
    with (folder / "tracks.csv").open(newline="", encoding="utf-8") as handle:
        return [folder / row["path"] for row in csv.DictReader(handle)]


def missing_tracks(plan, folder):
    """Tracks of a plan that the folder does not hold."""
    return [track for track in plan if not (folder / f"{track.track_id}.flac").exists()]


def compose_corpus(folder, *, genres=DEFAULT_GENRES, artists_per_genre=20, tracks_per_artist=5,
                   seed=0, seconds=30.0, n_jobs=-1, progress=True):  # fmt: skip
    """Compose the corpus into a folder, or complete it, or find it complete.

    Writes ``GENRE/ARTIST-SLUG_NN.flac`` (22,050 Hz, mono, 16 bit), ``tracks.csv`` (track_id, path,
    genre, artist) and ``corpus.json`` (generator, settings, whether it is complete).

    Parameters
    ----------
    folder : str or Path
        Where; it is made if need be.
    genres : sequence of str
        Genres of ``composer.GENRES``.
    artists_per_genre, tracks_per_artist : int
        Size of the corpus.
    seed : int, default=0
        Another seed is another corpus.
    seconds : float, default=30.0
        Length of each track.
    n_jobs : int, default=-1
        Processes; -1 uses every core. The result does not depend on it.
    progress : bool, default=True
        Whether to show a message and a progress bar on stderr.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModuleNotFoundError
        If tracks are missing and tinysoundfont is not installed.
    FileExistsError
        If the folder holds something else.
    """
    folder = Path(folder)
    settings = {
        "genres": list(genres),
        "artists_per_genre": artists_per_genre,
        "tracks_per_artist": tracks_per_artist,
        "seed": seed,
    }
    about = {
        "name": "synthetic",
        "synthetic": True,
        "generator": {"version": GENERATOR_VERSION, "sha256": generator_hash()},
        "settings": {**settings, "seconds": float(seconds)},
    }
    found = files.read_json(folder / "corpus.json") if (folder / "corpus.json").exists() else {}
    plan = track_plan(**settings)
    if found == {**about, "complete": True} and not missing_tracks(plan, folder):
        return folder
    load_synth()
    if {**found, "complete": True} != {**about, "complete": True}:
        clear_other_corpus(folder, found)
    files.write_json(folder / "corpus.json", {**about, "complete": False})
    write_track_table(folder / "tracks.csv", plan)
    write_tracks(plan, folder, seconds, n_jobs, progress)
    files.write_json(folder / "corpus.json", {**about, "complete": True})
    return folder


def write_track_table(path, plan):
    """Write which tracks there are and whose they are."""
    with (
        files.written_whole(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as handle,
    ):
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["track_id", "path", "genre", "artist"])
        for track in plan:
            artist = track.artist
            writer.writerow([track.track_id, f"{track.track_id}.flac", artist.genre, artist.name])


def write_tracks(plan, folder, seconds, n_jobs, progress):
    """Write the tracks that are missing, in parallel."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    missing = missing_tracks(plan, folder)
    if progress:
        print(f"Composing {len(missing)} of {len(plan)} tracks into {folder}", file=sys.stderr)
    work = (delayed(write_track)(track, folder, seconds) for track in missing)
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(work)
    for _ in tqdm(done, total=len(missing), unit="track", disable=not progress):
        pass


def corpus_fingerprint(folder):
    """Hash of the decoded samples of every track, in the order of ``tracks.csv``."""
    import soundfile

    paths = listed_paths(Path(folder))
    return files.sha256(*[soundfile.read(path, dtype="int16")[0] for path in paths])
