"""Fictitious artists, and the tracks that each has recorded, from a random stream of their own."""

import hashlib
from dataclasses import dataclass

import numpy as np

from genre_utils.data.composer import pieces
from genre_utils.data.composer.styles import STYLES, draw_repertoire

DEFAULT_GENRES = ("rock", "pop", "classical", "jazz")


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
    name = f"{rng.choice(FIRST_NAMES[genre])} {rng.choice(LAST_NAMES)}"
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
    tilt, room, drive, bells = MIX_CUSTOMS[genre]
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
    """Invent the artists of a genre, the first of whom are the same however many are made.

    Parameters
    ----------
    genre : str
        A genre of `GENRES`.
    n_artists, seed : int
        How many, and the seed of the corpus.

    Returns
    -------
    tuple of Artist
        In order of their numbers.
    """
    styles = list(STYLES[genre])
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
        repertoire = draw_repertoire(genre, (main, *others.tolist()), rng)
        artists.append(Artist(genre, number, name, repertoire, draw_mix(genre, rng)))
    return tuple(artists)


def track_plan(*, genres=DEFAULT_GENRES, artists_per_genre=20, tracks_per_artist=5, seed=0):
    """List the tracks of a corpus without composing them.

    Parameters
    ----------
    genres : sequence of str
        Genres of `GENRES`.
    artists_per_genre, tracks_per_artist, seed : int
        Size of the corpus; another seed is another corpus.

    Returns
    -------
    list of Track
        In order of genre, artist and number.

    Examples
    --------
    >>> [track.track_id for track in track_plan(genres=["jazz"], artists_per_genre=1)][:2]
    ['jazz/pearlie-dovercombe-group_01', 'jazz/pearlie-dovercombe-group_02']
    """
    return [
        Track(f"{genre}/{artist.slug}_{number:02d}", artist, number, seed)
        for genre in genres
        for artist in make_artists(genre, artists_per_genre, seed)
        for number in range(1, tracks_per_artist + 1)
    ]


def score(track, seconds=30.0):
    """Compose a track of `track_plan`, as MIDI."""
    artist = track.artist
    seed = stream(track.seed, artist.genre, artist.number, track.number, "score")
    return pieces.compose(artist.genre, track.habits, seed, seconds)


def score_of(track_id, *, seconds=30.0, **settings):
    """Compose the track of that name.

    Parameters
    ----------
    track_id : str
        As in `track_plan`.
    seconds : float
        Length of the piece.
    **settings : int
        Of `track_plan`.

    Returns
    -------
    pretty_midi.PrettyMIDI
        One instrument for each role: melody, bass, drums, ...

    Raises
    ------
    KeyError
        If the corpus has no such track.
    """
    genre = track_id.split("/")[0]
    plan = track_plan(**{**settings, "genres": {genre} & set(pieces.GENRES)})
    for track in plan:
        if track.track_id == track_id:
            return score(track, seconds)
    raise KeyError(f"no track {track_id!r} in the composed corpus with settings {settings}")
