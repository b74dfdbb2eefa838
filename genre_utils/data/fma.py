"""FMA, the Free Music Archive dataset (Defferrard et al. 2017, arXiv:1612.01840)."""

import shutil
import sys
from pathlib import Path

import pandas as pd

from genre_utils.data import downloads
from genre_utils.data.track_lists import CorpusError
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
_DOWNLOADED = ("small", "medium")  # the larger ones are for whoever has the patience of a browser
_TEXT = 4  # GiB that the metadata, being text, may unpack to; clips unpack to their own size
#: Published faults of clips (github.com/mdeff/fma, issues 4, 8, 41); their whole songs have none.
_FAULT = "known broken file of FMA ({}: cut from beyond the end of its song)"
_FAULTS = dict.fromkeys((98565, 98567, 98569), _FAULT.format("short"))
_FAULTS |= dict.fromkeys((99134, 108925, 133297), _FAULT.format("empty"))
_PARTS = {"training": "train", "validation": "valid", "test": "test"}


def locate(corpus_dir, subset: str, *, download: bool = False, mirrors=(SERVER,)) -> Path:
    """Folder that holds the metadata and the clips of a subset, unpacked (see `corpora.locate`)."""
    if subset not in SUBSETS:
        raise CorpusError(f"unknown FMA_SUBSET {subset!r}; choose one of {', '.join(SUBSETS)}.")
    place = files.data_folder() / files.typed(corpus_dir or "fma")
    if place.name.removesuffix(".zip") == f"fma_{subset}":  # the clips themselves
        place = place.parent
    names = [f"{stem}.zip" for stem in ("fma_metadata", f"fma_{subset}")]
    packed = [name for name in names if _inner(place, name.removesuffix(".zip")) is None]
    absent = [name for name in packed if not (place / name).exists()]
    if absent and not (download and subset in _DOWNLOADED):
        listed = " and ".join(f"{SERVER}{name} ({ARCHIVES[name][1]:g} GiB)" for name in absent)
        raise CorpusError(
            f"FMA is not whole in {place}. Either get {listed} and put it there, packed or "
            f"unpacked; or set DOWNLOAD: true, which downloads it into that folder (FMA_SUBSET "
            f"{' and '.join(_DOWNLOADED)}). Packed and unpacked it takes twice that size."
        )
    for name in packed:
        _provide(place, name, mirrors)
    return place


def _provide(place, name, mirrors):
    """Unpack an archive beside itself, after downloading it if it is not there."""
    sha1, size = ARCHIVES[name]
    archive, folder = place / name, place / name.removesuffix(".zip")
    limit = round((_TEXT + 2 * size) * 2**30)
    if not archive.exists():
        place.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(place).free / 2**30
        if free < 2 * size:
            raise CorpusError(
                f"{name} takes {2 * size:g} GiB, packed and unpacked, and {place} has {free:.0f} "
                "GiB left: make room, or name another CORPUS_DIR."
            )
        said = f"Downloading {name}, {size:g} GiB, into {place}. Stopped, it goes on from there."
        print(said, file=sys.stderr)
    urls = [mirror + name for mirror in mirrors]
    downloads.fetch(urls, archive, max_bytes=limit, checksum=f"sha1:{sha1}")
    downloads.unpack(archive, folder, max_bytes=limit)
    if _inner(place, folder.name) is None:
        raise CorpusError(
            f"{folder} does not hold what it is called: it or {archive} is wrong, delete it."
        )


def _inner(place, name):
    """Folder of the metadata or the clips: unpackers nest it once or twice, or not at all."""
    sign = "tracks.csv" if name == "fma_metadata" else "[0-9][0-9][0-9]"
    folders = (place / name / name, place / name, place)
    return next((folder for folder in folders if any(folder.glob(sign))), None)


def find(folder: Path, subset: str) -> pd.DataFrame:
    """List the clips of a subset that have a top genre, as `corpora.find_tracks` does."""
    clips = _inner(folder, f"fma_{subset}").relative_to(folder)
    table = _read_metadata(_inner(folder, "fma_metadata") / "tracks.csv")
    within = table["subset"].isin(SUBSETS[: SUBSETS.index(subset) + 1])
    table = table[within & (table["genre"] != "")]
    track_id = [f"{number:06d}" for number in table.index]
    return pd.DataFrame(
        {
            "track_id": track_id,
            "path": [(clips / name[:3] / f"{name}.mp3").as_posix() for name in track_id],
            "genre": table["genre"].str.lower().to_numpy(),
            "artist": table["artist"].to_numpy(),
            "title": table["title"].to_numpy(),
            "album": table["album"].to_numpy(),
            "split": table["split"].map(_PARTS).fillna("").to_numpy(),
            "fault": ["" if subset == "full" else _FAULTS.get(n, "") for n in table.index],
        }
    )


def _read_metadata(path: Path) -> pd.DataFrame:
    """What is read of each track, by its number; the header of the table has three lines."""
    columns = {
        ("artist", "name"): "artist",
        ("set", "split"): "split",
        ("set", "subset"): "subset",
        ("track", "genre_top"): "genre",
        ("track", "title"): "title",
        ("album", "title"): "album",
    }
    try:
        # `usecols` cannot name columns of two levels: find them in the first two lines
        header = pd.read_csv(path, header=None, nrows=2, dtype=str, keep_default_na=False)
        named = list(zip(*header.to_numpy(), strict=True))
        places = [named.index(column) for column in columns]
        options = {"skiprows": 3, "header": None, "index_col": 0, "keep_default_na": False}
        kinds = {0: int} | dict.fromkeys(places, str)
        table = pd.read_csv(path, usecols=list(kinds), dtype=kinds, **options)
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"{path} is not the tracks.csv of fma_metadata.zip: {error}. Unpack it again."
        ) from error
    names = dict(zip(places, columns.values(), strict=True))
    return table.rename(columns=names).sort_index()
