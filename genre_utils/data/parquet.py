"""Parquet files of sounds, as the Hugging Face hub has them: unpacked once, then a music folder."""

import json
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from tqdm import tqdm

from genre_utils.data.track_lists import CorpusError
from genre_utils.features import decoding
from genre_utils.workspace import files

AUDIO, GENRES, FILE, ARTIST = "audio", ("genre", "label"), "file", "artist"  # columns
LIST = ".artists"  # what the rows say of artists, within what is unpacked
_AT_A_TIME = 8  # rows; reading them takes the memory of their row group, on the hub 100 clips
_MAX_BYTES = 50 << 30  # of sounds, whatever a file announces
_SOUNDS = {f".{kind.lower()}" for kind in soundfile.available_formats()} | {".aif", ".m4a"}
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|#]')
_LONGEST = 60  # characters of a name, at most 240 bytes


def files_of(place: Path) -> list[Path]:
    """Parquet files of a corpus: `place`, or those in it, unless it holds ready sounds as well."""
    if place.is_file():
        return [place] if place.suffix.lower() == ".parquet" else []
    found = [path for depth in ("", "*/", "*/*/") for path in place.glob(f"{depth}*.parquet")]
    if found and any(path.suffix.lower() in _SOUNDS for path in decoding.music_in(place)):
        return []
    return sorted(path for path in found if path.is_file())


def unpacked(place: Path) -> Path:
    """Folder of ``GENRE/clip`` files with the sounds of parquet files, written once into the cache.

    Parameters
    ----------
    place : Path
        A parquet file, or a folder of such, with columns ``audio`` (structs of ``bytes`` and
        ``path``) and ``genre`` or ``label`` (names, or numbers that the hub's metadata names);
        ``artist`` is used if there is one. A ``tracks.csv`` beside them is believed before it.

    Returns
    -------
    Path
        The new folder; `place` itself if it has no parquet files.

    Raises
    ------
    CorpusError
        If a file is damaged or lacks a column, a genre has no name, or the disk is too small.
    """
    found = files_of(place)
    if not found:
        return place
    key = files.sha256([(path.name, files.file_md5(path)) for path in found])[:32]
    target = files.cache_folder() / "parquet" / key
    if not target.exists():
        partial = target.with_name(f".{key}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            _unpack(found, partial)
            partial.replace(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    beside = place if place.is_dir() else place.parent
    lists = [path for path in sorted(beside.iterdir()) if path.name.lower() == "tracks.csv"]
    (target / "tracks.csv").unlink(missing_ok=True)
    for path in [*lists, *target.glob(LIST)][:1]:
        shutil.copyfile(path, target / "tracks.csv")
    return target


def _unpack(found, folder):
    """Write the sound of every row, and a list of the artists if they are told."""
    tables = [_opened(path) for path in found]
    rows = sum(table.metadata.num_rows for table in tables)
    _check_room(tables, folder)
    taken: set[str] = set()
    artists, number, left = [], 0, _MAX_BYTES
    with tqdm(desc="unpacking parquet files", total=rows, unit="track") as bar:
        for path, table in zip(found, tables, strict=True):
            for sound, genre, name, artist in _rows(path, table):
                number += 1
                bar.update()
                if sound is None or genre is None:
                    continue
                place = _place(genre, name, number, taken)
                left -= len(sound)
                if left < 0:
                    raise CorpusError(f"{path} unpacks to more than {_MAX_BYTES >> 30} GiB.")
                (folder / place).parent.mkdir(exist_ok=True)
                (folder / place).write_bytes(sound)
                artists += [(place, artist)] if artist else []
    if not taken:
        raise CorpusError(f"{found[0]}: no row has both a sound (bytes) and a genre.")
    if missing := rows - len(taken):
        print(f"Left out: {missing} of {rows} rows, without a sound or a genre.", file=sys.stderr)
    if artists:
        pd.DataFrame(artists, columns=["path", ARTIST]).to_csv(folder / LIST, index=False)


def _opened(path):
    """Open a file that has the columns."""
    try:
        table = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    schema = table.schema_arrow
    lacks = [] if AUDIO in schema.names else [AUDIO]
    lacks += [] if _genre_column(schema) else [" or ".join(GENRES)]
    if lacks:
        raise CorpusError(
            f"{path} has no column {' and no '.join(lacks)}; it has {', '.join(schema.names)}. "
            "Name the column of the sounds, or of the genres, so."
        )
    kind = schema.field(AUDIO).type
    if not pa.types.is_struct(kind) or "bytes" not in [field.name for field in kind]:
        raise CorpusError(
            f"{path}: its column {AUDIO} holds no sounds, but {kind}. Save them with their bytes "
            "(struct of bytes and path)."
        )
    return table


def _genre_column(schema):
    return next((name for name in GENRES if name in schema.names), None)


def _genre_names(path, schema):
    """Names of the genres by number; None where they are written out."""
    column = _genre_column(schema)
    if not pa.types.is_integer(schema.field(column).type):
        return None
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])
        return [str(name) for name in told["info"]["features"][column]["names"]]
    except (KeyError, TypeError, ValueError):
        raise CorpusError(
            f"{path}: its column {column} holds numbers that its metadata does not name. Save the "
            "names of the genres in their place."
        ) from None


def _check_room(tables, folder):
    metadata = [table.metadata for table in tables]
    groups = (one.row_group(number) for one in metadata for number in range(one.num_row_groups))
    needed, free = sum(group.total_byte_size for group in groups), shutil.disk_usage(folder).free
    if needed > free:
        raise CorpusError(
            f"The parquet files unpack to {needed / 1e9:.1f} GB, but {folder.parent} has "
            f"{free / 1e9:.1f} GB free: make room, or name another folder with GENRE_CACHE_DIR."
        )


def _rows(path, table):
    """Yield sound (bytes), genre, name and artist of each row; None for what it lacks."""
    schema = table.schema_arrow
    genre, names = _genre_column(schema), _genre_names(path, schema)
    columns = [AUDIO, genre, *(name for name in (FILE, ARTIST) if name in schema.names)]
    try:
        for batch in table.iter_batches(_AT_A_TIME, columns=columns, use_threads=False):
            others = batch.drop_columns([AUDIO]).to_pylist()
            for audio, row in zip(batch.column(AUDIO), others, strict=True):
                sound, name = _sound(audio)
                told = _named(row[genre], names, path)
                yield sound, told, name or row.get(FILE), row.get(ARTIST)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _sound(audio):
    """Sound and name in an element of the column `AUDIO`."""
    if not audio.is_valid:
        return None, None
    name = audio["path"].as_py() if "path" in audio else None
    return audio["bytes"].as_py() or None, name  # never what a path names: it is a stranger's


def _named(genre, names, path):
    """Name of a genre; None where there is none, of which the hub makes -1."""
    if names is None or genre is None:
        return str(genre or "").strip() or None
    if genre == -1:
        return None
    if not 0 <= genre < len(names):
        raise CorpusError(
            f"{path}: a row has genre number {genre}, but its metadata names just {len(names)} "
            f"(from 0: {', '.join(names)}). Save it with names of all genres."
        )
    return names[genre]


def _place(genre, name, number, taken):
    """Path of a row within the folder, which it cannot lead out of, nor share with another."""
    path = Path(re.split(r"[/\\]", name or "")[-1] or f"row{number:06d}")
    suffix = path.suffix if path.suffix.lower() not in {"", *decoding.COMPANIONS} else ".wav"
    suffix, stem = _UNSAFE.sub("_", suffix)[:_LONGEST], f"{_safe(genre)}/{_safe(path.stem)}"
    place = f"{stem}{suffix}" if f"{stem}{suffix}".lower() not in taken else ""
    place = place or f"{stem} #{number}{suffix}"
    taken.add(place.lower())
    return place


def _safe(name):
    return _UNSAFE.sub("_", name)[:_LONGEST].strip(" .") or "_"


def _unreadable(path, error):
    why = str(error).partition("\n")[0].strip(" .")
    return CorpusError(f"{path} cannot be read as parquet ({why}): download it again.")
