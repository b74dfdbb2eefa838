"""Download over several mirrors, resume what was cut off, and unpack without trusting."""

import shutil
import stat
import tarfile
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from genre_utils.data.track_lists import CorpusError
from genre_utils.workspace import files, parallel

PIECE = 1 << 16  # bytes taken from the net at a time; a cut loses what it has of the last one
_TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of data
_TRIES = 5  # connections of a mirror that may be cut off before they bring a megabyte
_CHUNK = 1 << 20  # bytes unpacked at a time
_PADDING = 64  # chunks that may follow the end of a tar, before the checksum of its compression
_BLOCK = 512  # bytes that a member of an archive counts at least, so that empty ones are not free
_MAX_UNPACKED = 50 << 30  # bytes that the archive of a corpus may unpack to
_MEMORY = 1 << 28  # bytes for unpacking: the header of a tar can be compressed a thousandfold
#: What reading a damaged archive, or one of a kind unknown here, may raise.
_DAMAGE: tuple[type[Exception], ...] = (OSError, EOFError, ValueError, NotImplementedError)
_DAMAGE += (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, MemoryError)

pooch.get_logger().setLevel("WARNING")


def fetch(mirrors, target: Path, *, max_bytes, checksum=None, check=None, timeout=_TIMEOUT) -> Path:
    """Path of a file, downloaded from the first mirror that has it unless it is there already.

    With a `checksum` (``md5:5b3d...``), a download that was cut off goes on where it stopped, from
    what waits in ``.part`` beside the target. `check` is called with the path of what came and
    raises ValueError if that is something else.
    """
    if target.exists():
        return target
    part = target.with_name(target.name + ".part")
    # what an earlier run left may be of another file: then the first mirror deserves a second try
    attempts = [*mirrors[:1], *mirrors] if part.exists() and checksum else list(mirrors)

    def download(url, output, _):
        _download(url, part, max_bytes, timeout, resume=checksum is not None)
        if check is not None:
            check(part)
        part.replace(output)

    said = []
    for url in attempts:
        try:
            pooch.retrieve(url, checksum, target.name, target.parent, downloader=download)
            return target
        except (requests.RequestException, ValueError) as error:
            said.append(f"  {url}\n    {_short(error)}")
            if isinstance(error, ValueError) and not isinstance(error, requests.RequestException):
                part.unlink(missing_ok=True)  # the wrong content: nothing to go on from
        except OSError as error:
            raise CorpusError(
                f"{target} cannot be written ({error.strerror or error}): make room there, or name "
                "a folder that can be written to."
            ) from error
    said += ["Try again later (what has arrived is kept), or get the file and put it here: "]
    raise CorpusError(f"{target.name} could not be downloaded:\n" + "\n".join(said) + str(target))


def _download(url, part, max_bytes, timeout, resume):
    """Bring `part` to its full length, over as many connections as bring it forward."""
    if not resume:
        part.unlink(missing_ok=True)
    tries = _TRIES
    while True:
        before = _size(part)
        try:
            return _continue(url, part, max_bytes, timeout)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            gained = _size(part) - before
            tries -= gained < 1e6
            if not resume or gained <= 0 or tries == 0:
                raise


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _continue(url, part, max_bytes, timeout):
    """Add what is missing to `part`, over one connection."""
    have = _size(part)
    # identity: a server that compresses on the way would send other bytes than were published
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        if response.status_code == 416:  # nothing follows: `part` is whole, or of another file
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return
            raise ValueError(f"has no {have:,} bytes: the part that was there is of another file")
        response.raise_for_status()
        if response.status_code != 206:
            have = 0  # the server knows no ranges and sends all of it
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        if total and total > max_bytes:
            raise ValueError(f"announces {total:,} bytes, more than the {max_bytes:,} expected")
        bar = tqdm(desc=part.stem, initial=have, total=total, unit="B", unit_scale=True)
        with open(part, "ab" if have else "wb") as out, bar:
            for chunk in response.iter_content(PIECE):
                have += out.write(chunk)
                bar.update(len(chunk))
                if have > max_bytes:
                    raise ValueError(f"sends more than the {max_bytes:,} bytes expected")
    if total and have < total:
        raise requests.ConnectionError(f"cut off after {have:,} of {total:,} bytes")


def _short(error):
    response = getattr(error, "response", None)
    if response is not None:
        return f"answered {response.status_code} {response.reason}"
    if isinstance(error, requests.Timeout):
        return "did not answer in time"
    return str(error).partition(" Deleted download")[0]  # pooch, on the checksum


def from_kaggle(dataset: str, *, otherwise: CorpusError) -> Path:
    """Folder of a dataset that Kaggle's own client, where it is installed, brings into its cache.

    Raises `CorpusError` with what was said of the other places, `otherwise`, if that fails, too.
    """
    try:
        import kagglehub
        from kagglehub import exceptions
    except ImportError:
        more = f"Or have it of Kaggle ({dataset}): pip install kagglehub, and run this again."
        raise CorpusError(f"{otherwise}\n{more}") from otherwise
    wrong = (exceptions.BackendError, exceptions.CredentialError, exceptions.DataCorruptionError)
    try:
        return Path(kagglehub.dataset_download(dataset))
    except (OSError, ValueError, *wrong) as error:
        raise CorpusError(f"{otherwise}\nNor does Kaggle give {dataset}: {error}") from error


def unpacked(archive: Path, *, max_bytes: int = _MAX_UNPACKED) -> Path:
    """Folder in the cache with the content of an archive, unpacked once (see `unpack`)."""
    folder = files.cache_folder() / "archives"
    return unpack(archive, folder / files.file_md5(archive), max_bytes=max_bytes)


def unpack(archive: Path, target: Path, *, max_bytes: int) -> Path:
    """Unpack a tar (plain, gz, bz2, xz) or zip archive into a new folder, whole or not at all.

    Nothing in it is believed: members must be plain files and folders whose names stay inside and
    come once, and their sizes are counted while they are written.
    """
    if target.exists():
        return target
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        with parallel.memory_limited(_MEMORY):
            _unpack_into(partial, archive, max_bytes)
        partial.replace(target)
    except _DAMAGE as error:
        why = (str(error) or type(error).__name__).splitlines()[0].rstrip(":")
        said = f"{archive} is not an archive that can be unpacked: {why}"
        raise CorpusError(f"{said}; name a folder or an archive.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _unpack_into(folder, archive, max_bytes):
    """Write the members of an archive, counting what they take."""
    left, size = max_bytes, _size(archive)
    bar = tqdm(desc=f"unpacking {archive.name}", total=size, unit="B", unit_scale=True)
    with open(archive, "rb") as handle, bar:
        packed = _zip_members if handle.read(2) == b"PK" else _tar_members
        handle.seek(0)
        for name, content in packed(handle, folder):
            place = folder / name
            (place if content is None else place.parent).mkdir(parents=True, exist_ok=True)
            left = _spend(left, _BLOCK)
            if content is not None:
                with open(place, "xb") as out:
                    while chunk := content.read(_CHUNK):
                        left = _spend(left, len(chunk))
                        out.write(chunk)
                        bar.update(max(0, handle.tell() - bar.n))


def _spend(left, size):
    if size > left:
        raise tarfile.TarError("it unpacks to more than is allowed here")
    return left - size


def _tar_members(handle, folder):
    """Name within `folder` and open content (None for a folder) of each member of a tar."""
    with tarfile.open(fileobj=handle, mode="r:*") as packed:
        for member in packed:
            if member.islnk() or member.issym():
                raise tarfile.TarError(f"{member.name!r} is a link")
            inside = tarfile.data_filter(member, str(folder))  # refuses devices, and what leads out
            yield inside.name, packed.extractfile(member)
        if all(packed.fileobj.read(_CHUNK) for _ in range(_PADDING)):
            raise tarfile.TarError("it goes on after its end")


def _zip_members(handle, folder):
    """The same of a zip, for which Python has no such filter."""
    with zipfile.ZipFile(handle) as packed:
        for info in packed.infolist():
            if info.flag_bits & 1:
                raise zipfile.BadZipFile("it is encrypted")
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where no Unix made it
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise zipfile.BadZipFile(f"{info.filename!r} is a link or a device")
            name = info.filename.replace("\\", "/")
            if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
                raise zipfile.BadZipFile(f"{info.filename!r} leads outside the folder")
            if name.endswith("/"):  # `is_dir` fails on an empty name
                yield name, None
            else:
                with packed.open(info) as content:
                    yield name, content
