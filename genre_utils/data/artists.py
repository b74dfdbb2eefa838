"""Artists who recorded together, found in the names that tracks credit, and tied into groups."""

import re
import unicodedata

import pandas as pd

from genre_utils.features import tags

_AND = re.compile(r"\s*(?:[;&+]|\b(?:and|with|vs|feat(?:uring)?|ft)\b\.?)\s*")  # parts two names
_MAYBE = re.compile(r"\s*[,/]\s*")  # parts names ("Ella / Louis"), or not ("Coltrane, John", AC/DC)
_BRACKET = re.compile(r"\s*[(\[]\s*([^()\[\]]*)[)\]]?")
_GUEST = re.compile(r"(?:with|feat(?:uring)?|ft)\b")
_VERSION = re.compile(
    r"\b(?:(?:19|20)\d\d|re-?master\w*|version|live|mono|stereo|demo|edition|edit|(?:re)?mix|bonus)\b"
)
#: Words that make no name by themselves: "... and His Orchestra", "..., lead vocals".
_COMMON = re.compile(
    "((et al|his|her|their|my|the|big|band|orchestra|ensemble|choir|chorus|trio|quartet|quintet|"
    "sextet|group|friends|others|family|sons|company|co|strings|singers|players|guests|lead|vocals?|"
    r"voice|guitar|piano|bass|drums|saxophone|trumpet|violin|cello|composer|conductor)\b\W*)+"
)
TOLD = 10  # ties that a warning lists


def is_unknown(artist):
    """Whether an artist, or each of a series, is not known (``unknown:TRACK_ID``)."""
    return (artist if isinstance(artist, str) else artist.str).startswith("unknown:")


def _plain(name):
    return re.sub(r"^the ", "", name.strip()) or name


def _credited(artist: str) -> tuple[set[str], set[str]]:
    """Names that an artist's text credits, and what is a name only if another artist has it."""
    whole = " ".join(unicodedata.normalize("NFKC", artist).casefold().split())
    if is_unknown(whole):
        return {whole}, set()
    inside = [text for text in _BRACKET.findall(whole) if text]
    guests = [text for text in inside if _GUEST.match(text)]
    parts = [part for text in (_BRACKET.sub(" ", whole), *guests) for part in _AND.split(text)]
    listed = re.search(r",[^,]*$", whole) and _AND.search(whole, whole.rindex(","))  # "A, B & C"
    sure, maybe = {whole}, set(inside) - set(guests)
    for part in filter(None, parts):
        pieces = [piece for piece in _MAYBE.split(part) if piece]
        sure |= {part, " ".join(reversed(pieces))} if len(pieces) == 2 else {part}
        sorted_by = "," in part and len(pieces) == 2 and not all(" " in piece for piece in pieces)
        for piece in pieces if len(pieces) > 1 else ():
            whole_name = " " in piece and not sorted_by and not _VERSION.search(piece)
            (sure if listed or whole_name else maybe).add(piece)
    common = {name for name in sure - {whole} if _COMMON.fullmatch(name)}
    known = {_plain(name) for name in sure - common if not tags.is_nobody(name)}
    return known | {_plain(whole)}, {_plain(name) for name in maybe | common}


def without_names(text: str, artist: str) -> str:
    """A text in small letters, without the names that an artist's text credits.

    Examples
    --------
    >>> without_names("Queen - Under Pressure (feat. David Bowie)", "Queen & David Bowie")
    '- under pressure (feat. )'
    """
    sure, maybe = _credited(artist)
    names = sorted(map(re.escape, sure | maybe), key=len, reverse=True)
    whole = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return " ".join(re.sub(rf"(?<!\w)({'|'.join(names)})(?!\w)", " ", whole).split())


def groups_of(tracks: pd.DataFrame, group_by: str) -> pd.Series:
    """Find the group of each track: what must never stand on both sides of a split.

    Artists that share a credited name are tied together, so that a collaboration cannot leak. What
    only may be a name, as each part of "Coltrane, John", ties to an artist who is called just that.

    Parameters
    ----------
    tracks : pd.DataFrame
        With track_id, artist and, where a user knows better, group: what it says counts instead.
    group_by : {"artist", "track"}
        Whether the tracks of an artist belong together, or each is a group of its own.

    Returns
    -------
    pd.Series of str, shape (tracks,)
        The track's id, or the alphabetically first artist of its component.

    Examples
    --------
    >>> artists = ["Queen", "Queen & David Bowie", "Bowie", "David Bowie"]
    >>> tracks = pd.DataFrame({"track_id": list("abcd"), "artist": artists})
    >>> list(groups_of(tracks, "artist"))
    ['David Bowie', 'David Bowie', 'Bowie', 'David Bowie']
    """
    if group_by == "track":
        return pd.Series(tracks["track_id"].to_numpy(), dtype=str)
    stated = _stated(tracks)
    tied = _tied(tracks.loc[stated == "", "artist"].unique())
    label = {artist: min(together) for together in tied for artist in together}
    by_name = tracks["artist"].map(label)
    return pd.Series(by_name.where(stated == "", stated).to_numpy(), dtype=str)


def _stated(tracks):
    """Group that a user gives each track, empty where none."""
    return tracks["group"] if "group" in tracks else pd.Series("", tracks.index)


def _tied(artists):
    """Sets of artists that belong together."""
    from scipy.cluster.hierarchy import DisjointSet  # slow to import: not in every worker

    tied: DisjointSet = DisjointSet(artists)
    first: dict[str, str] = {}  # artist with each name
    credited = {artist: _credited(artist) for artist in artists}
    for artist, (sure, _) in credited.items():
        for name in sure:
            tied.merge(artist, first.setdefault(name, artist))
    called = {_plain(" ".join(artist.casefold().split())): artist for artist in artists}
    for artist, (_, maybe) in credited.items():
        for name in maybe & called.keys():
            tied.merge(artist, called[name])
    return tied.subsets()


def tie_warnings(tracks: pd.DataFrame) -> list[str]:
    """Name the artists that `groups_of` ties, and say how to part them."""
    artists = tracks.loc[_stated(tracks) == "", "artist"].unique()
    ties = sorted(" = ".join(sorted(one)) for one in _tied(artists) if len(one) > 1)
    if not ties:
        return []
    more = f"; and {len(ties) - TOLD} more" if len(ties) > TOLD else ""
    return [
        f"Artists who recorded together, or share a name, count as one, so that no split parts "
        f"them: {'; '.join(ties[:TOLD])}{more}. Where that is wrong, name in a column group of "
        "tracks.csv who belongs together."
    ]
