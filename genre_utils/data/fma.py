"""FMA, the Free Music Archive dataset (Defferrard et al. 2017, arXiv:1612.01840)."""

import shutil
import sys
from pathlib import Path

import pandas as pd

from genre_utils.data.errors import CorpusError
from genre_utils.workspace import files

SERVER = "https://os.unil.cloud.switch.ch/fma/"
SUBSETS = ("small", "medium", "large", "full")  # each holds the ones before it
#: SHA-1 and size in GiB, as published in the README of github.com/mdeff/fma.
ARCHIVES = {
    "fma_metadata.zip": ("f0df49ffe5f2a6008d7dc83c6915b31835dfe733", 0.34),
    "fma_small.zip": ("ade154f733639d52e35e32f5593efe5be76c6d70", 7.2),
    "fma_medium.zip": ("c67b69ea232021025fca9231fc1c7c1a063ab50b", 22),
    "fma_large.zip": ("497109f4dd721066b5ce5e5f250ec604dc78939e", 93),
    "fma_full.zip": ("0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab", 879),
}
DOWNLOADED = ("small", "medium")  # the larger ones are for whoever has the patience of a browser
TEXT = 4  # GiB that the metadata, being text, may unpack to; clips unpack to their own size
#: Clips that were cut from beyond the end of their song (github.com/mdeff/fma, issues 4, 8, 41).
FAULTS = {98565: "short", 98567: "short", 98569: "short"}
FAULTS |= {99134: "empty", 108925: "empty", 133297: "empty"}
PARTS = {"training": "train", "validation": "valid", "test": "test"}


def locate(corpus_dir, subset: str, *, download: bool = False, mirrors=(SERVER,)) -> Path:
    """Folder that holds the metadata and the clips of a subset, unpacked.

    Archives that lie there are unpacked beside themselves, once.

    Parameters
    ----------
    corpus_dir : str or Path
        Absolute, or relative to ``$GENRE_DATA_DIR``; ``fma`` when empty.
    subset : {"small", "medium", "large", "full"}
    download : bool
        Whether to download what is not there (`DOWNLOADED` only).
    mirrors : sequence of str
        Addresses of folders that hold the archives.

    Raises
    ------
    CorpusError
        If the subset is unknown, or its music is not there and cannot or may not be downloaded.
    """
    if subset not in SUBSETS:
        raise CorpusError(f"unknown FMA_SUBSET {subset!r}; choose one of {', '.join(SUBSETS)}.")
    place = files.data_folder() / Path(corpus_dir or "fma").expanduser()
    if place.name.removesuffix(".zip") == f"fma_{subset}":  # the clips themselves
        place = place.parent
    names = [f"{stem}.zip" for stem in ("fma_metadata", f"fma_{subset}")]
    packed = [name for name in names if _inner(place, name.removesuffix(".zip")) is None]
    absent = [name for name in packed if not (place / name).exists()]
    if absent and not (download and subset in DOWNLOADED):
        listed = " and ".join(f"{SERVER}{name} ({ARCHIVES[name][1]:g} GiB)" for name in absent)
        raise CorpusError(
            f"FMA is not whole in {place}. Either get {listed} and put it there, packed or "
            f"unpacked; or set DOWNLOAD: true, which downloads it into that folder (FMA_SUBSET "
            f"{' and '.join(DOWNLOADED)}). Packed and unpacked it takes twice that size."
        )
    for name in packed:
        _provide(place, name, mirrors)
    return place


def _provide(place, name, mirrors):
    """Unpack an archive beside itself, after downloading it if it is not there."""
    from genre_utils.data import downloads

    sha1, size = ARCHIVES[name]
    archive, folder = place / name, place / name.removesuffix(".zip")
    limit = round((TEXT + 2 * size) * 2**30)
    if not archive.exists():
        place.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(place).free / 2**30
        if free < 2 * size:
            raise CorpusError(
                f"{name} takes {2 * size:g} GiB, packed and unpacked, and {place} has {free:.0f} "
                "GiB left: make room, or name another CORPUS_DIR."
            )
        print(
            f"Downloading {name}, {size:g} GiB, into {place}. Stopped, it goes on from there.",
            file=sys.stderr,
        )
    urls = [mirror + name for mirror in mirrors]
    downloads.fetch(urls, archive, max_bytes=limit, checksum=f"sha1:{sha1}")
    downloads.unpack(archive, folder, max_bytes=limit)
    if _inner(place, folder.name) is None:
        raise CorpusError(
            f"{folder} holds no {_sign(folder.name)}: it or {archive} is not what it is called, "
            "delete it."
        )


def _sign(name):
    """Pattern of what tells the folder `name`."""
    return "tracks.csv" if name == "fma_metadata" else "[0-9][0-9][0-9]"


def _inner(place, name):
    """Folder of the metadata or the clips: unpackers nest it once or twice, or not at all."""
    for folder in (place / name / name, place / name, place):
        if any(folder.glob(_sign(name))):
            return folder
    return None


def find(folder: Path, subset: str) -> pd.DataFrame:
    """List the clips of a subset that have a top genre, as `corpora.find_tracks` does.

    Parameters
    ----------
    folder : Path
        From `locate`.
    subset : {"small", "medium", "large", "full"}

    Returns
    -------
    pd.DataFrame
        track_id (six digits, as in the file's name), path, genre (lower case, such as
        ``hip-hop``), artist, split (``train``, ``valid``, ``test``), fault.

    Raises
    ------
    CorpusError
        If the metadata cannot be read.
    """
    path = _inner(folder, "fma_metadata") / "tracks.csv"
    clips = _inner(folder, f"fma_{subset}").relative_to(folder)
    table = read_metadata(path)
    table = table[table["subset"].isin(SUBSETS[: SUBSETS.index(subset) + 1])]
    table = table[table["genre"] != ""]
    track_id = [f"{number:06d}" for number in table.index]
    return pd.DataFrame(
        {
            "track_id": track_id,
            "path": [(clips / name[:3] / f"{name}.mp3").as_posix() for name in track_id],
            "genre": table["genre"].str.lower().to_numpy(),
            "artist": table["artist"].to_numpy(),
            "split": table["split"].map(PARTS).fillna("").to_numpy(),
            "fault": [_fault(number, subset) for number in table.index],
        }
    )


def read_metadata(path: Path) -> pd.DataFrame:
    """Read what is needed of ``fma_metadata/tracks.csv``, whose header has three lines.

    Returns
    -------
    pd.DataFrame
        Indexed by track number: artist, split, subset, genre, all of them text.

    Raises
    ------
    CorpusError
        If the file is not that table.
    """
    columns = {
        ("artist", "name"): "artist",
        ("set", "split"): "split",
        ("set", "subset"): "subset",
        ("track", "genre_top"): "genre",
    }
    try:
        # `usecols` cannot name columns of two levels: find them in the first two lines
        header = pd.read_csv(path, header=None, nrows=2, dtype=str, keep_default_na=False)
        named = list(zip(*header.to_numpy(), strict=True))
        places = [named.index(column) for column in columns]
        table = pd.read_csv(
            path,
            skiprows=3,
            header=None,
            usecols=[0, *places],
            index_col=0,
            dtype=dict.fromkeys(places, str) | {0: int},
            keep_default_na=False,
        )
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"{path} is not the tracks.csv of fma_metadata.zip: {error}. Unpack it again."
        ) from error
    names = dict(zip(places, columns.values(), strict=True))
    return table.rename(columns=names).sort_index()


def _fault(number, subset):
    """Published fault of a clip; the untrimmed songs of the full set do not have it."""
    if subset == "full" or number not in FAULTS:
        return ""
    return f"known broken file of FMA ({FAULTS[number]}: cut from beyond the end of its song)"
