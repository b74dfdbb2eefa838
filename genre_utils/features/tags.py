"""TODO features.tags."""

import contextlib
import re
import struct
from pathlib import Path

import mutagen

from genre_utils.features import decoding

_ARTIST_TAGS = ("artist", "author", "tpe1", "\xa9art")  # as the kinds of tags call it
_ALBUM_ARTIST_TAGS = ("albumartist", "album artist", "wm/albumartist", "tpe2", "aart")
_NOBODY = re.compile(
    r"(various|unknown|diverse|verschiedene)( artists?| interpreten| performers?| composers?)?"
    r"|v\.?\s*/?\s*a\.?|n/?a|none|artists?|<.*>|[-?_. ]*"
)

# what mutagen raises on broken tags, besides its own error (found by tests/fuzz_audio.py)
_TAG_ERRORS = (mutagen.MutagenError, OSError, ValueError, LookupError, TypeError, ArithmeticError)
_TAG_ERRORS += (AttributeError, EOFError, struct.error, RecursionError, MemoryError)
TAG_BYTES = 1 << 28  # memory for reading the tags of a file, which can be compressed a thousandfold


def tagged_artist(path: str | Path) -> str:
    """Artist that a file's tags name, else its album's; empty where they name nobody.

    "Various Artists" and the like are nobody. Tags that cannot be read are none.
    """
    try:
        with memory_limited(TAG_BYTES):
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


@contextlib.contextmanager
def memory_limited(more):
    """Let this process hold `more` bytes than now, where Linux tells how much that is.

    Beyond that, what is done within raises a MemoryError.
    """
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    limits = [n for n in before if n != resource.RLIM_INFINITY]
    limit = min([pages * resource.getpagesize() + more, *limits])
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
