"""The artist that a file's tags name."""

import re
import struct
from pathlib import Path

import mutagen

from genre_utils.features import decoding
from genre_utils.workspace import parallel

_ARTIST_TAGS = ("artist", "author", "tpe1", "\xa9art")  # as the kinds of tags call it
_ALBUM_ARTIST_TAGS = ("albumartist", "album artist", "wm/albumartist", "tpe2", "aart")
_NOBODY = re.compile(
    r"(various|unknown|diverse|verschiedene)( artists?| interpreten| performers?| composers?)?"
    r"|v\.?\s*/?\s*a\.?|n/?a|none|artists?|<.*>|[-?_. ]*"
)

# what mutagen raises on broken tags, besides its own error (found by tests/fuzz_audio.py)
_TAG_ERRORS = (
    mutagen.MutagenError, OSError, ValueError, LookupError, TypeError, ArithmeticError,
    AttributeError, EOFError, struct.error, RecursionError, MemoryError,
)  # fmt: skip
TAG_BYTES = 1 << 28  # memory for reading the tags of a file, which can be compressed a thousandfold


def tagged_artist(path: str | Path) -> str:
    """Artist that a file's tags name, else its album's; empty for nobody or "Various Artists"."""
    try:
        with parallel.memory_limited(TAG_BYTES):
            file = mutagen.File(decoding.on_disk(path), easy=True)
        tags = {str(key).lower(): value for key, value in dict((file and file.tags) or {}).items()}
    except _TAG_ERRORS:
        return ""
    for names in (_ARTIST_TAGS, _ALBUM_ARTIST_TAGS):
        for value in (tags[name] for name in names if name in tags):
            value = value if isinstance(value, list | tuple) else getattr(value, "text", [value])
            text = "; ".join(dict.fromkeys(map(str, value))).encode(errors="replace").decode()
            text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
            if not _NOBODY.fullmatch(text.casefold()):
                return text[:200]
    return ""
