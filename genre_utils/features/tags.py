"""The artist that a file's tags name."""

import re
import struct
from pathlib import Path

import mutagen

from genre_utils.features import decoding
from genre_utils.workspace import parallel

#: Names by kind of tags; an album's artist comes last.
_ARTIST_TAGS: tuple[str, ...] = ("artist", "author", "tpe1", "\xa9art", "iart", "performer")
_ARTIST_TAGS += ("albumartist", "album artist", "album_artist", "wm/albumartist", "tpe2", "aart")
_ALBUM_TAGS, _TITLE_TAGS = ("album", "talb", "wm/albumtitle"), ("title", "tit2")
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
    found = (_named(read(path), _ARTIST_TAGS) for read in (_by_mutagen, _by_ffmpeg))
    return next(filter(None, found), "")


def song(path: str | Path) -> dict:
    """Artist, album and title that a file's tags name, empty for none; seconds, -1 if unknown."""
    tags, seconds = _opened(path)
    tags = tags or _by_ffmpeg(path)
    names = {"artist": _ARTIST_TAGS, "album": _ALBUM_TAGS, "title": _TITLE_TAGS}
    return {"seconds": seconds} | {what: _named(tags, wanted) for what, wanted in names.items()}


def tagged_titles(path: str | Path) -> dict[str, str]:
    """Title and album that mutagen finds in a file's tags, by these names; empty for none."""
    tags, _ = _opened(path)
    return {"title": _named(tags, _TITLE_TAGS), "album": _named(tags, _ALBUM_TAGS)}


def _named(tags, names):
    for name in names:
        text = " ".join("".join(c if c.isprintable() else " " for c in tags.get(name, "")).split())
        if not is_nobody(text):
            return text[:200]
    return ""


def _by_mutagen(path):
    return _opened(path)[0]


def _opened(path):
    """Tags by their names in small letters, several values of one joined; and the seconds."""
    try:
        with parallel.memory_limited(TAG_BYTES):
            file = mutagen.File(decoding.on_disk(path), easy=True)
        tags = {str(key).lower(): value for key, value in dict((file and file.tags) or {}).items()}
        seconds = getattr(getattr(file, "info", None), "length", None) or -1
        return {name: _as_text(value) for name, value in tags.items()}, seconds
    except TAG_ERRORS:
        return {}, -1


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
