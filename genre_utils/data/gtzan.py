"""GTZAN: find it in any shape, join its artists and fault-filtered parts, report its faults."""

import re
import sys
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from genre_utils.data import folders
from genre_utils.data.errors import CorpusError
from genre_utils.workspace import files

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae")
GENRES += ("rock",)
#: The original server is dead; the others hold the same file. Its MD5 is the one that mirdata and
#: torchaudio publish (mirdata/datasets/gtzan_genre.py, torchaudio/datasets/gtzan.py).
AUDIO = (
    "https://huggingface.co/datasets/marsyas/gtzan/resolve/main/data/genres.tar.gz",
    "https://archive.org/download/gtzan_genre/genres.tar.gz",
    "http://opihi.cs.uvic.ca/sound/genres.tar.gz",
)
AUDIO_MD5 = "md5:5b3d6dddb579ab49814ab86dba69e7c7"
MAX_BYTES = 4 << 30  # the archive has 1.2 GB and unpacks to 1.3
#: Sturm's index of artists and titles (2013, arXiv:1306.1461), and the fault-filtered parts of
#: Kereliuk, Sturm, Larsen (2015, arXiv:1507.04761), with the number of tracks that each names.
INDEX = "GTZANindex.txt"
LISTS = {
    INDEX: (
        "https://raw.githubusercontent.com/mtp0326/SynthToSoul/"
        "e983d93fb7c8a7b345327fa41320326ff1a4df6c/backend/csv/GTZANindex.txt",
        "https://raw.githubusercontent.com/mtp0326/SynthToSoul/HEAD/backend/csv/GTZANindex.txt",
    ),
} | {
    f"{part}_filtered.txt": (
        f"https://raw.githubusercontent.com/coreyker/dnn-mgr/master/gtzan/{part}_filtered.txt",
        "https://raw.githubusercontent.com/jongpillee/music_dataset_split/master/GTZAN_split/"
        f"{part}_filtered.txt",
    )
    for part in ("train", "valid", "test")
}
LENGTHS = {INDEX: 1000, "train_filtered.txt": 443, "valid_filtered.txt": 197}
LENGTHS |= {"test_filtered.txt": 290}
LEFT_OUT = "left out by the fault-filtered lists"
#: Exact repetitions after Sturm (2013), section 3: the same sound under several numbers. Each is
#: borne out by the fault-filtered lists, which keep one track of a group at most.
REPETITIONS = {
    "country": "8=51 52=60",
    "disco": "50=51=70 55=60=89 71=74 98=99",
    "hiphop": "39=45 76=78",
    "jazz": "33=51 34=53 35=55 36=58 37=60 38=62 39=65 40=67 42=68 43=69 44=70 45=71 46=72",
    "metal": "4=13 34=94 40=61 41=62 42=63 43=64 44=65 45=66",
    "pop": "15=22 30=31 45=46 47=80 52=57 54=60 56=59 67=71 87=90",
    "reggae": "3=54 5=56 8=57 10=60 13=58 41=69 73=74 80=81=82 75=91=92",
}
ACROSS_GENRES = ("metal.00058", "rock.00016")  # Sturm (2013): one sound, two labels
DISTORTED = "reggae.00086"  # Sturm (2013): nothing but its first 5 s can be used
UNDECODABLE = "jazz.00054"  # not audio in Kaggle's copy

_NAME = re.compile(rf"({'|'.join(GENRES)}|hip[-_ ]hop)[._-]?(\d{{5}})(?!\d)", re.IGNORECASE)
_ARCHIVES = ("genres.tar.gz", "*.tar.gz", "*.tgz", "*.tar", "*.zip")


# ---------------------------------------------------------------------------- finding


def locate(corpus_dir: str | Path, *, download: bool = False, mirrors=AUDIO) -> Path:
    """Folder that holds GTZAN somewhere within it.

    Parameters
    ----------
    corpus_dir : str or Path
        A folder or archive, absolute or relative to ``$GENRE_DATA_DIR``; ``gtzan`` when empty.
        The music may lie several folders deep, or in an archive, which is unpacked once into the
        cache.
    download : bool
        Whether to download the music (1.2 GB) into that folder when it is not there.
    mirrors : sequence of str
        Where to download from.

    Raises
    ------
    CorpusError
        If there is no GTZAN and none can or may be downloaded.
    """
    place = files.data_folder() / Path(corpus_dir or "gtzan").expanduser()
    if place.is_dir() and _root(place) is not None:
        return place
    packed = [place] if place.is_file() else []
    packed += [path for pattern in _ARCHIVES for path in sorted(place.glob(pattern))]
    if not packed and download:
        from genre_utils.data import downloads

        print(f"Downloading GTZAN (1.2 GB) into {place}.", file=sys.stderr)
        target = place / "genres.tar.gz"
        packed = [downloads.fetch(mirrors, target, max_bytes=MAX_BYTES, checksum=AUDIO_MD5)]
    if not packed:
        raise CorpusError(
            f"GTZAN is not in {place}. Either put it there (genres.tar.gz, Kaggle's archive.zip, "
            "or a folder genres/ or genres_original/ with one folder per genre), or set DOWNLOAD: "
            "true, which downloads 1.2 GB."
        )
    folder = folders.unpacked(packed[0], max_bytes=MAX_BYTES)
    if _root(folder) is None:
        raise CorpusError(f"{packed[0]} is not GTZAN: no folder in it holds blues/blues.00000.wav.")
    return folder


def find(folder: Path, *, mirrors: dict | None = None) -> pd.DataFrame:
    """List the tracks of GTZAN with their artists and parts, as `corpora.find_tracks` does.

    A ``tracks.csv`` beside the music is believed before the published lists. Those are looked for
    beside the music and in ``gtzan/`` of the data folder, into which missing ones are downloaded;
    where that fails, the study goes on without them and `warnings` says so.

    Parameters
    ----------
    folder : Path
        From `locate`.
    mirrors : dict, optional
        URLs of each list; `LISTS` by default.

    Returns
    -------
    pd.DataFrame
        track_id (such as ``hiphop.00012``), path, genre, and as far as they are known artist,
        split (``train``, ``valid``, ``test``) and fault (that the lists leave a track out).
    """
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
    if known is not None:
        return known
    return _with_lists(tracks, keys, folder, LISTS if mirrors is None else mirrors)


def track_key(name: str) -> str:
    """Name of a track as in the archive: ``Hip-Hop/hip-hop.00012.au`` -> ``hiphop.00012``.

    Empty where it is no name of a GTZAN track.
    """
    found = _NAME.search(name)
    return f"{_genre(found[1])}.{found[2]}" if found else ""


def _genre(name):
    plain = re.sub(r"[-_ ]", "", name.lower())
    return plain if plain in GENRES else name


def _root(folder):
    """Nearest folder whose subfolders are named after genres and hold sound files of theirs."""
    for pattern in ("", "*/", "*/*/", "*/*/*/"):
        for genre in sorted(folder.glob(pattern + "*")):
            named = _genre(genre.name) in GENRES and not _hidden(genre, folder)
            if named and genre.is_dir() and any(map(_is_track, genre.iterdir())):
                return genre.parent
    return None


def _hidden(path, folder):
    return any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)


def _is_track(path):
    return bool(_NAME.match(path.name)) and path.suffix.lower() not in folders.COMPANIONS


# ---------------------------------------------------------------------------- published lists


def _with_lists(tracks, keys, folder, mirrors):
    """Tracks with the artists of Sturm's index and the parts of the fault-filtered lists."""
    paths = _list_paths(folder, mirrors)
    if INDEX in paths:
        tracks["artist"] = keys.map(read_list(paths[INDEX])).fillna("")
    parts = {name.split("_")[0]: path for name, path in paths.items() if name != INDEX}
    part_of = {key: part for part, path in parts.items() for key in read_list(path)}
    if parts:
        tracks["split"] = keys.map(part_of).fillna("")
    if len(parts) == 3:
        tracks["fault"] = [LEFT_OUT if key and key not in part_of else "" for key in keys]
    return tracks


def _list_paths(folder, mirrors):
    """Path of each published list that is there or can be downloaded."""
    from genre_utils.data import downloads, errors

    own = files.data_folder() / "gtzan"
    paths = {}
    for name in mirrors:
        beside = [
            path for depth in ("", "*/", "*/*/") for path in sorted(folder.glob(depth + name))
        ]
        there = [path for path in [*beside, own / name] if path.is_file()]
        if there:
            paths[name] = there[0]
    try:
        for name in [name for name in mirrors if name not in paths]:
            paths[name] = downloads.fetch(
                mirrors[name], own / name, max_bytes=1 << 20, check=_whole(name)
            )
    except errors.FetchError as error:  # the others would come from the same servers
        print(f"Going on without the published lists that are missing. {error}", file=sys.stderr)
    return paths


def _whole(name):
    """Check for a download: no checksum of the lists is published, their lengths are."""

    def check(path):
        if len(listed := read_list(path)) != LENGTHS[name]:
            raise ValueError(f"names {len(listed)} tracks, not the {LENGTHS[name]} of {name}")

    return check


def read_list(path: Path) -> dict[str, str]:
    """Tracks that a published list names, and their artists where it gives them.

    Two formats: ``blues/blues.00029.wav`` per line, and Sturm's
    ``blues.00029.wav ::: Kelly Joe Phelps ::: The House Carpenter``, whose artist may be empty.

    Raises
    ------
    CorpusError
        If a line names no track of GTZAN.
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


def warnings(tracks: pd.DataFrame) -> list[str]:
    """What the published lists would add to these tracks, and where to put them."""
    place = "gtzan/ of the data folder (GENRE_DATA_DIR)"  # reports name no path of this machine
    said = []
    if tracks["artist"].str.startswith("unknown:").all():
        said.append(
            f"GTZAN's artists are unknown: without Sturm's index the songs of one artist stand on "
            f"both sides of a split. Put {INDEX} into {place}."
        )
    if (tracks["split"] == "").all():
        said.append(
            "The fault-filtered lists are missing, so known faults that no audit can hear are "
            f"still here. Put {', '.join(name for name in LENGTHS if name != INDEX)} into {place}."
        )
    return said


# ---------------------------------------------------------------------------- known faults


def known_faults() -> list[tuple[str, tuple[str, ...]]]:
    """Published faults of GTZAN: what it is, and the tracks that it concerns."""
    repeated = [
        ("the same sound", tuple(f"{genre}.{int(number):05d}" for number in group.split("=")))
        for genre, groups in REPETITIONS.items()
        for group in groups.split()
    ]
    return [
        *repeated,
        ("the same sound under two genres", ACROSS_GENRES),
        ("noise after 5 seconds", (DISTORTED,)),
        ("cannot be decoded in Kaggle's copy", (UNDECODABLE,)),
    ]


def fault_report(tracks: pd.DataFrame) -> pd.DataFrame:
    """Say of each published fault whether it is still among the tracks that are used.

    Parameters
    ----------
    tracks : pd.DataFrame
        After `auditing.audit`: track_id, status, reason.

    Returns
    -------
    pd.DataFrame
        fault, tracks, lists and audit (what each set aside), still used (what neither did). Only
        faults whose tracks are all in this copy.
    """
    reason = tracks.set_index("track_id")["reason"]
    rows = []
    for fault, ids in known_faults():
        if not set(ids) <= set(reason.index):
            continue
        lists = [key for key in ids if reason[key] == LEFT_OUT]
        audit = [key for key in ids if reason[key] not in ("", LEFT_OUT)]
        used = [key for key in ids if reason[key] == ""]
        harmless = len(used) <= (len(ids) > 1) or fault.startswith("cannot")
        rows.append((fault, " = ".join(ids), lists, audit, [] if harmless else used))
    table = pd.DataFrame(rows, columns=["fault", "tracks", "lists", "audit", "still used"])
    for column in ("lists", "audit", "still used"):
        table[column] = table[column].map(", ".join)
    return table


def validate(folder: Path) -> pd.DataFrame:
    """Compare every file with the checksums of mirdata, which is optional.

    Parameters
    ----------
    folder : Path
        From `locate`. Only WAV files can be compared: mirdata knows no others.

    Returns
    -------
    pd.DataFrame
        track_id, problem (``missing``, or ``other content``); empty for a perfect copy.

    Raises
    ------
    CorpusError
        If mirdata is not installed, or its index is not there and cannot be downloaded.
    """
    try:
        import mirdata
    except ModuleNotFoundError as error:
        raise CorpusError(
            "checksums of GTZAN need mirdata, which is not installed: pip install mirdata"
        ) from error
    dataset = mirdata.initialize("gtzan_genre")
    index = Path(dataset.index_path)
    try:
        if not index.exists():
            dataset.download(partial_download=["index"])
        published = files.read_json(index)["tracks"]
    except OSError as error:
        raise CorpusError(f"mirdata's index of GTZAN cannot be downloaded ({error}).") from error
    paths = folders.find_files(_root(folder), folder)["path"]
    present = {track_key(path): folder / path for path in paths}
    rows = []
    for key, entry in tqdm(published.items(), desc="checksums", unit="file"):
        path = present.get(track_key(key))
        if path is None or path.suffix.lower() != ".wav":
            rows.append((track_key(key), "missing"))
        elif files.file_md5(path) != entry["audio"][1]:
            rows.append((track_key(key), "other content"))
    return pd.DataFrame(rows, columns=["track_id", "problem"])
