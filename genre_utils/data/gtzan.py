"""GTZAN: find it in any shape, join its artists and fault-filtered parts, report its faults."""

import functools
import re
import sys
from pathlib import Path

import pandas as pd

from genre_utils.data import downloads, folders, parquet
from genre_utils.data.track_lists import CorpusError
from genre_utils.features import decoding
from genre_utils.workspace import files

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae",
          "rock")  # fmt: skip
#: Copies of what the third, which is dead, held; mirdata and torchaudio publish the same MD5.
_AUDIO = (
    "https://huggingface.co/datasets/marsyas/gtzan/resolve/main/data/genres.tar.gz",
    "https://archive.org/download/gtzan_genre/genres.tar.gz",
    "http://opihi.cs.uvic.ca/sound/genres.tar.gz",
)
AUDIO_MD5 = "md5:5b3d6dddb579ab49814ab86dba69e7c7"
KAGGLE = "andradaolteanu/gtzan-dataset-music-genre-classification"
_MAX_BYTES = 4 << 30  # the archive has 1.2 GB and unpacks to 1.3
#: Sturm's index of artists and titles (2013, arXiv:1306.1461), and the fault-filtered parts of
#: Kereliuk, Sturm, Larsen (2015, arXiv:1507.04761), with the number of tracks that each names.
INDEX = "GTZANindex.txt"
_RAW = "https://raw.githubusercontent.com/"
_COMMITS = ("e983d93fb7c8a7b345327fa41320326ff1a4df6c", "HEAD")
LISTS = {INDEX: [f"{_RAW}mtp0326/SynthToSoul/{it}/backend/csv/GTZANindex.txt" for it in _COMMITS]}
LISTS |= {
    f"{part}_filtered.txt": [
        f"{_RAW}coreyker/dnn-mgr/master/gtzan/{part}_filtered.txt",
        f"{_RAW}jongpillee/music_dataset_split/master/GTZAN_split/{part}_filtered.txt",
    ]
    for part in ("train", "valid", "test")
}
LENGTHS = dict(zip(LISTS, (1000, 443, 197, 290), strict=True))
_LEFT_OUT = "left out by the fault-filtered lists"
#: The same sound under several numbers after Sturm (2013), section 3; borne out by the lists.
_REPETITIONS = {
    "country": "8=51 52=60",
    "disco": "50=51=70 55=60=89 71=74 98=99",
    "hiphop": "39=45 76=78",
    "jazz": "33=51 34=53 35=55 36=58 37=60 38=62 39=65 40=67 42=68 43=69 44=70 45=71 46=72",
    "metal": "4=13 34=94 40=61 41=62 42=63 43=64 44=65 45=66",
    "pop": "15=22 30=31 45=46 47=80 52=57 54=60 56=59 67=71 87=90",
    "reggae": "3=54 5=56 8=57 10=60 13=58 41=69 73=74 80=81=82 75=91=92",
}
_OTHER_FAULTS = [  # the first two after Sturm, too
    ("the same sound under two genres", ("metal.00058", "rock.00016")),
    ("noise after 5 seconds", ("reggae.00086",)),
    ("cannot be decoded in Kaggle's copy", ("jazz.00054",)),
]

_NAME = re.compile(rf"({'|'.join(GENRES)}|hip[-_ ]hop)[._-]?(\d{{5}})(?!\d)", re.IGNORECASE)
_ARCHIVES = ("genres.tar.gz", "data/genres.tar.gz", "*.tar.gz", "*.tgz", "*.tar", "*.zip")


def locate(corpus_dir: str | Path, *, download: bool = False, mirrors=_AUDIO) -> Path:
    """Folder that holds GTZAN, at whatever depth or packed in some way (see `corpora.locate`)."""
    place = files.data_folder() / files.typed(corpus_dir or "gtzan")
    if place.is_dir() and _root(place) is not None:
        return place
    if parquet.files_of(place):
        return _checked(parquet.unpacked(place), place)
    packed = [place] if place.is_file() else []
    packed += [path for pattern in _ARCHIVES for path in sorted(place.glob(pattern))]
    if not packed and download:
        print(f"Downloading GTZAN (1.2 GB) into {place}.", file=sys.stderr)
        target = place / "genres.tar.gz"
        try:
            packed = [downloads.fetch(mirrors, target, max_bytes=_MAX_BYTES, checksum=AUDIO_MD5)]
        except CorpusError as error:
            return _checked(downloads.from_kaggle(KAGGLE, otherwise=error), KAGGLE)
    if not packed:
        raise CorpusError(
            f"GTZAN is not in {place}. Either put it there (genres.tar.gz, Kaggle's archive.zip, "
            "a folder genres/ or genres_original/ with one folder per genre, or parquet files), or "
            "set DOWNLOAD: true, which downloads 1.2 GB."
        )
    return _checked(downloads.unpacked(packed[0], max_bytes=_MAX_BYTES), packed[0])


def _checked(folder, origin):
    if _root(folder) is None:
        raise CorpusError(f"{origin} is not GTZAN: no folder in it holds blues/blues.00000.wav.")
    return folder


def find(folder: Path) -> pd.DataFrame:
    """List the tracks of GTZAN with artists and parts, of ``tracks.csv`` or published lists."""
    root = _root(folder)
    if root is None:
        raise CorpusError(f"no GTZAN in {folder}: no folder in it holds blues/blues.00000.wav.")
    tracks = folders.find_files(root, folder)
    tracks["genre"] = [_genre(name) for name in tracks["genre"]]
    tracks = tracks[tracks["genre"].isin(GENRES)].reset_index(drop=True)
    keys = tracks["path"].map(track_key)
    own = (keys != "") & ~keys.duplicated(keep=False)  # the same track as WAV and as AU is two
    tracks["track_id"] = tracks["track_id"].mask(own, keys)
    known = folders.listed_beside(tracks, root, folder)
    return _with_lists(tracks, keys, folder) if known is None else known


def track_key(name: str) -> str:
    """Name of a track: ``Hip-Hop/hip-hop.00012.au`` -> ``hiphop.00012``; empty of another file."""
    found = _NAME.search(name)
    return f"{_genre(found[1])}.{found[2]}" if found else ""


def _genre(name):
    plain = re.sub(r"[-_ ]", "", name.lower())
    return plain if plain in GENRES else name


def _root(folder):
    """Nearest folder whose subfolders are named after genres and hold sound files of theirs."""
    for pattern in ("", "*/", "*/*/", "*/*/*/"):
        for genre in sorted(folder.glob(pattern + "*")):
            parts = genre.relative_to(folder).parts
            hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
            if hidden or _genre(genre.name) not in GENRES or not genre.is_dir():
                continue
            if any(map(_is_track, genre.iterdir())):
                return genre.parent
    return None


def _is_track(path):
    return bool(_NAME.match(path.name)) and path.suffix.lower() not in decoding.COMPANIONS


def _with_lists(tracks, keys, folder):
    """Tracks with the artists of Sturm's index and the parts of the fault-filtered lists."""
    paths = _list_paths(folder)
    if INDEX in paths:
        tracks["artist"] = keys.map(read_list(paths[INDEX])).fillna("")
    parts = {name.split("_")[0]: path for name, path in paths.items() if name != INDEX}
    part_of = {key: part for part, path in parts.items() for key in read_list(path)}
    if parts:
        tracks["split"] = keys.map(part_of).fillna("")
    if len(parts) == 3:
        tracks["fault"] = [_LEFT_OUT if key and key not in part_of else "" for key in keys]
    return tracks


def _list_paths(folder):
    """Path of each published list that is there or can be downloaded."""
    own, paths = files.data_folder() / "gtzan", {}
    for name in LISTS:
        places = [path for depth in ("", "*/", "*/*/") for path in folder.glob(depth + name)]
        if there := [path for path in [*places, own / name] if path.is_file()]:
            paths[name] = there[0]
    try:
        for name in [name for name in LISTS if name not in paths]:
            check = functools.partial(_check_length, LENGTHS[name])
            paths[name] = downloads.fetch(LISTS[name], own / name, max_bytes=1 << 20, check=check)
    except CorpusError as error:  # the others would come from the same servers
        print(f"Going on without the published lists that are missing. {error}", file=sys.stderr)
    return paths


def _check_length(length, path):
    """Refuse another list: no checksum of the lists is published, their lengths are."""
    if len(listed := read_list(path)) != length:
        raise ValueError(f"names {len(listed)} tracks, not the {length} of the list")


def read_list(path: Path) -> dict[str, str]:
    """Tracks that a published list names, and their artists where it gives them.

    Two formats: ``blues/blues.00029.wav`` per line, and Sturm's
    ``blues.00029.wav ::: Kelly Joe Phelps ::: The House Carpenter``, whose artist may be empty.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    listed = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, *rest = (field.strip() for field in line.split(":::"))
        if not name or name.startswith("#"):
            continue
        if not (key := track_key(name)):
            raise CorpusError(f"{path}, line {number}, names no track of GTZAN: {line[:60]!r}.")
        listed[key] = rest[0] if rest else ""
    return listed


def missing_lists(tracks: pd.DataFrame) -> list[str]:
    """What the published lists would add to these tracks, and where to put them."""
    place = "gtzan/ of the data folder (GENRE_DATA_DIR)"  # reports name no path of this machine
    said = []
    if tracks["artist"].str.startswith("unknown:").all():
        said.append(
            "GTZAN's artists are unknown: without Sturm's index the songs of one artist stand on "
            f"both sides of a split. Put {INDEX} into {place}."
        )
    if (tracks["split"] == "").all():
        said.append(
            "The fault-filtered lists are missing, so known faults that no audit can hear are "
            f"still here. Put {', '.join(list(LENGTHS)[1:])} into {place}."
        )
    return said


def known_faults() -> list[tuple[str, tuple[str, ...]]]:
    """Published faults of GTZAN: what it is, and the tracks that it concerns."""
    repeated = [
        ("the same sound", tuple(f"{genre}.{int(number):05d}" for number in group.split("=")))
        for genre, groups in _REPETITIONS.items()
        for group in groups.split()
    ]
    return repeated + _OTHER_FAULTS


def fault_report(tracks: pd.DataFrame) -> pd.DataFrame:
    """Tell of each published fault of GTZAN whether it is still among the tracks that are used.

    Parameters
    ----------
    tracks : pd.DataFrame
        From `audit`.

    Returns
    -------
    pd.DataFrame
        Columns fault, tracks (all in this copy), lists and audit (what each excluded), still used.
    """
    reason = tracks.set_index("track_id")["reason"]
    rows = []
    for fault, ids in known_faults():
        if not set(ids) <= set(reason.index):
            continue
        lists = [key for key in ids if reason[key] == _LEFT_OUT]
        audit = [key for key in ids if reason[key] not in ("", _LEFT_OUT)]
        used = [key for key in ids if reason[key] == ""]
        harmless = len(used) <= (len(ids) > 1) or fault.startswith("cannot")
        told = [", ".join(keys) for keys in (lists, audit, [] if harmless else used)]
        rows.append((fault, " = ".join(ids), *told))
    return pd.DataFrame(rows, columns=["fault", "tracks", "lists", "audit", "still used"])
