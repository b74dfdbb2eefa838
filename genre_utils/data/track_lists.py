"""What a ``tracks.csv`` says of files: read, matched with them, told where it does not match."""

import csv
import io
import os
import unicodedata
from pathlib import Path, PurePosixPath

import pandas as pd

#: Columns that are used beside the one that names the tracks.
TAKEN = ("artist", "split", "group", "title", "album")
FEW = 3  # names that a sentence gives as examples


class CorpusError(ValueError):
    """The corpus cannot be studied as asked; the message says why and what to do."""


def some(names) -> str:
    """Write the first of some names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(f"'{name}'" for name in names[:FEW]) + more


def read(path: Path, *needed: str) -> pd.DataFrame:
    """Rows of a ``tracks.csv`` as text: with commas, semicolons or tabs, headers in any case.

    Raises CorpusError if it cannot be read, is empty, or lacks a needed column.
    """
    text = _text(path, needed)
    delimiter = max(",;\t", key=text.lstrip().partition("\n")[0].count)
    lines = csv.reader(io.StringIO(text, None), delimiter=delimiter, skipinitialspace=True)
    try:
        rows = [(lines.line_num, [cell.strip() for cell in row]) for row in lines if any(row)]
    except csv.Error as error:
        raise CorpusError(f"{path}, line {lines.line_num}, cannot be read: {error}.") from error
    if not rows:
        raise CorpusError(f"{path} is empty: {_wanted(needed)}.")
    header = [_folded(name) for name in rows[0][1]]
    has = f"it has {', '.join(filter(None, header))}"
    for column in needed:
        if column not in header:
            raise CorpusError(f"{path} lacks the column {column}: {has}; {_wanted(needed)}.")
    if twice := [column for column in (*needed, *TAKEN) if header.count(column) > 1]:
        raise CorpusError(f"{path} has the column {twice[0]} twice: {has}.")
    if len(rows) == 1:
        raise CorpusError(f"{path} lists no tracks: there is nothing below its header.")
    for number, row in rows:
        if any(row[len(header) :]):
            raise CorpusError(
                f"{path}, line {number}, has {len(row)} values for {len(header)} columns: put "
                f"a text with {delimiter!r} in double quotes."
            )
    table = [dict(zip(header, row, strict=False)) for _, row in rows[1:]]
    found = pd.DataFrame(table, columns=list(dict.fromkeys(header))).fillna("")
    if "track_id" in needed and found["track_id"].duplicated().any():
        twice = found.loc[found["track_id"].duplicated(), "track_id"]
        raise CorpusError(f"{path} lists track_id {twice.iloc[0]!r} more than once.")
    return found


def _wanted(needed):
    return f"it must begin with a line such as {','.join((*needed, 'artist'))}, and list the tracks"


def _text(path, needed):
    if not path.exists():
        raise CorpusError(f"{path} is missing: {_wanted(needed)}.")
    content = path.read_bytes()
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")  # as spreadsheets save "Unicode text"
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} cannot be read as UTF-8 ({error}): save it as that.") from error


def with_list(tracks: pd.DataFrame, path: Path, folder: Path) -> pd.DataFrame:
    """Join what the ``tracks.csv`` at `path` says to the files of a corpus, by their paths.

    A path is taken as it is written, or else in other case, accents or slashes, or else as another
    type of file. ``attrs`` of the table tell what does not match: ``list`` (what it holds),
    ``rows_without_file``, ``files_not_listed`` and, as sentences, ``warnings``.
    """
    listed = read(path, "path")
    inside = PurePosixPath(path.parent.relative_to(folder).as_posix())
    written = [_within(inside, row, folder.as_posix()) for row in listed["path"]]
    found, other_type = _matched(written, list(tracks["path"]))
    if not found:
        raise CorpusError(
            f"none of the paths in {path} is a file of this corpus: it says "
            f"{listed['path'].iloc[0]!r}, and the first file is {tracks['path'].iloc[0]!r}. "
            "Write them relative to the folder of tracks.csv."
        )
    columns = [column for column in TAKEN if column in listed]
    known = listed.loc[list(found)].assign(path=list(found.values()))
    known = known.drop_duplicates(["path", *columns])
    if len(twice := known.loc[known["path"].duplicated(), "path"]):
        raise CorpusError(f"{path} lists {twice.iloc[0]!r} more than once, and not alike.")
    joined = tracks.merge(known[["path", *columns]], on="path", how="left")
    without = [listed.loc[row, "path"] for row in listed.index if row not in found]
    left_out = tracks.loc[~tracks["path"].isin(known["path"]), "path"].to_list()
    said = _said(listed, columns, without, other_type)
    said += _contradicted(tracks.merge(known, on="path", suffixes=("", "_listed")))
    joined.attrs = {
        "list": f"{len(listed)} rows with {', '.join(filter(None, listed))}",
        "rows_without_file": without,
        "files_not_listed": left_out,
        "warnings": tracks.attrs.get("warnings", []) + said,
    }
    return joined


def _within(inside, written, folder):
    """Path within the corpus's folder of what is written in a list that lies `inside` of it."""
    plain = PurePosixPath(written.replace("\\", "/"))
    if plain.is_relative_to(folder):
        return plain.relative_to(folder).as_posix()
    return os.path.normpath(inside / plain).replace(os.sep, "/")


def _folded(path):
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _untyped(path):
    return os.path.splitext(_folded(path))[0]


def _matched(written, paths):
    """File of each row, by the row's number, and the numbers of those that name another type."""
    found: dict[int, str] = {}
    for fold in (str, _folded, _untyped):
        taken = set(found.values()) if fold is _untyped else set()
        by_name: dict[str, list[str]] = {}
        for path in paths:
            if path not in taken:
                by_name.setdefault(fold(path), []).append(path)
        rows = [row for row in range(len(written)) if row not in found]
        means = {row: by_name.get(fold(written[row]), []) for row in rows}
        new = {row: files[0] for row, files in means.items() if len(files) == 1}
        found |= new
    return dict(sorted(found.items())), list(new)


def _said(listed, columns, without, other_type):
    """Sentences on what a list does not say, and where it does not match."""
    said = []
    if "artist" not in columns:
        has = ", ".join(filter(None, listed))
        said.append(f"tracks.csv has no column artist, so it says of no track who plays: {has}.")
    if without:
        share = f"{len(without)} of {len(listed)}"
        said.append(f"Rows of tracks.csv that are no file here ({share}): {some(without)}.")
    if other_type:
        names = some(listed.loc[other_type, "path"])
        said.append(f"Rows of tracks.csv with another type of file ({len(other_type)}): {names}.")
    return said


def _contradicted(both):
    """Say which genres of a list are not those of the folders."""
    if "genre_listed" not in both:
        return []
    differ = both[both["genre_listed"].map(_folded) != both["genre"].map(_folded)]
    differ = differ[differ["genre_listed"] != ""]
    if differ.empty:
        return []
    first = differ.iloc[0]
    return [
        f"tracks.csv gives {len(differ)} files another genre than their folder, which counts: "
        f"'{first['path']}' is called {first['genre_listed']}."
    ]
