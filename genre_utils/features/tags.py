"""The artist that a file's tags name."""

import re
import struct
from pathlib import Path

import mutagen

from genre_utils.features import decoding
from genre_utils.workspace import parallel

_ARTIST_TAGS = ("artist", "author", "tpe1", "\xa9art", "iart", "performer")  # by kind of tags
_ALBUM_ARTIST_TAGS: tuple[str, ...] = ("albumartist", "album artist", "album_artist")
_ALBUM_ARTIST_TAGS += ("wm/albumartist", "tpe2", "aart")
_SOMEBODY = "(artist|artiste|artista|interpret|künstler|performer|composer)"
_NOBODY = re.compile(
    rf"[<(\[]?((various|unknown|diverse|verschiedene|unbekannter?|no)( {_SOMEBODY}(s|en)?)?"
    rf"|({_SOMEBODY} )?(inconnu|desconocido|sconosciuto)|{_SOMEBODY}s?|track)[>)\]]?"
    r"|v\.?\s*/?\s*a\.?|n\.?/?a\.?|nan|null|nil|none|<.*>|[-?_. ]*"
)

# what mutagen raises on broken tags, besides its own error (found by tests/fuzz_audio.py)
TAG_ERRORS = (
    mutagen.MutagenError, OSError, ValueError, LookupError, TypeError, ArithmeticError,
    AttributeError, EOFError, struct.error, RecursionError, MemoryError,
)  # fmt: skip
TAG_BYTES = 1 << 28  # memory for reading the tags of a file, which can be compressed a thousandfold


def is_nobody(name: str) -> bool:
    """Whether what stands in the place of an artist's name says that nobody is known."""
    return bool(_NOBODY.fullmatch(name.strip().casefold()))


def tagged_artist(path: str | Path) -> str:
    """Artist that a file's tags name, else its album's; empty for nobody or "Various Artists".

    What mutagen finds no artist in, ffmpeg is asked about, which knows more containers.
    """
    for tags in (read(path) for read in (_by_mutagen, _by_ffmpeg)):
        for name in (*_ARTIST_TAGS, *_ALBUM_ARTIST_TAGS):
            text = " ".join(
                "".join(c if c.isprintable() else " " for c in tags.get(name, "")).split()
            )
            if not is_nobody(text):
                return text[:200]
    return ""


def _by_mutagen(path):
    """Tags by their names in small letters; several values of one are joined."""
    try:
        with parallel.memory_limited(TAG_BYTES):
            file = mutagen.File(decoding.on_disk(path), easy=True)
        tags = {str(key).lower(): value for key, value in dict((file and file.tags) or {}).items()}
    except TAG_ERRORS:
        return {}
    return {name: _as_text(value) for name, value in tags.items()}


def _as_text(value):
    values = value if isinstance(value, list | tuple) else getattr(value, "text", [value])
    return "; ".join(dict.fromkeys(map(str, values))).encode(errors="replace").decode()


def _by_ffmpeg(path):
    """Tags of a file and of its sound, as ffmpeg lists them."""
    try:
        said = decoding.ffmpeg_listing(decoding.on_disk(path))
    except decoding.UndecodableError:
        return {}
    lines = re.findall(r"^ +([\w/ ]*\w) *: (.+)$", said, re.MULTILINE)
    return {name.lower(): value for name, value in reversed(lines)}
