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

from genre_utils.data import errors
from genre_utils.data.errors import CorpusError
from genre_utils.features import tags

CHUNK = 1 << 20  # bytes unpacked at a time
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of data
TRIES = 5  # connections of a mirror that may be cut off before they bring a megabyte
PIECE = 1 << 16  # bytes taken from the net at a time; a cut loses what it has of the last one
PADDING = 64  # chunks that may follow the end of a tar
BLOCK = 512  # bytes that a member of an archive counts at least, so that empty ones are not free
#: What reading a damaged archive, or one of a kind unknown here, may raise.
DAMAGE = (OSError, EOFError, NotImplementedError, tarfile.TarError, zipfile.BadZipFile)
DAMAGE += (zlib.error, LZMAError, MemoryError)
MEMORY = 1 << 28  # bytes for unpacking: the header of a tar can be compressed a thousandfold

pooch.get_logger().setLevel("WARNING")


# ---------------------------------------------------------------------------- downloading


def fetch(mirrors, target, *, max_bytes, checksum=None, check=None, timeout=TIMEOUT) -> Path:
    """Download a file from the first mirror that has it, unless it is there already.

    A download that was cut off, in this run or an earlier one, goes on where it stopped; its first
    part waits in ``.part`` beside the target. Without a checksum nothing could tell whether two
    parts belong together, so then each attempt starts anew.

    Parameters
    ----------
    mirrors : sequence of str
        URLs of the same file, best first.
    target : Path
        Where the file goes. A file that is there is the user's own and left as it is.
    max_bytes : int
        A mirror that sends more is given up.
    checksum : str, optional
        ``algorithm:hexdigest``, such as ``md5:5b3d...``.
    check : callable, optional
        Called with the path of the downloaded file; raises ValueError if that is something else.
    timeout : tuple of float
        Seconds to connect, and to wait for the next piece of data.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    FetchError
        If no mirror gave the right file, or it cannot be written.
    """
    target = Path(target)
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
            raise errors.FetchError(
                f"{target} cannot be written ({error.strerror or error}): make room there, or name "
                "a folder that can be written to."
            ) from error
    tried = "\n".join(said)
    raise errors.FetchError(
        f"{target.name} could not be downloaded:\n{tried}\n"
        f"Try again later (what has arrived is kept), or get the file and put it here: {target}"
    )


def _download(url, part, max_bytes, timeout, resume):
    """Bring `part` to its full length, over as many connections as bring it forward."""
    if not resume:
        part.unlink(missing_ok=True)
    tries = TRIES
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _continue(url, part, max_bytes, timeout)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            gained = part.stat().st_size - before if part.exists() else 0
            tries -= gained < 1e6
            if not resume or gained <= 0 or tries == 0:
                raise error


def _continue(url, part, max_bytes, timeout):
    """Add what is missing to `part`, over one connection."""
    have = part.stat().st_size if part.exists() else 0
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
    """What went wrong in one line, without the layers of wrapping around it."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"answered {response.status_code} {response.reason}"
    if isinstance(error, requests.Timeout):
        return "did not answer in time"
    if not isinstance(error, requests.RequestException):
        return str(error).partition(" Deleted download")[0]  # pooch, on the checksum
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "cut the connection off"
    # "HTTPConnectionPool(...): Max retries exceeded ... (Caused by ...: Connection refused'))"
    said = str(error).rpartition(": ")[2].strip("'\")")
    return said + ")" * (said.count("(") - said.count(")")) or type(error).__name__


# ---------------------------------------------------------------------------- unpacking


def unpack(archive: Path, target: Path, *, max_bytes: int) -> Path:
    """Unpack a tar (plain, gz, bz2, xz) or zip archive into a new folder, whole or not at all.

    Nothing in the archive is believed: its members must be plain files and folders whose names
    stay inside the folder, no name may come twice, and their sizes are counted while they are
    written.

    Parameters
    ----------
    archive : Path
        Told apart by content, not by name.
    target : Path
        The folder to make; one that is there is taken for the finished one.
    max_bytes : int
        Most that the archive may unpack to, in bytes.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    CorpusError
        If the archive is damaged, unsafe, of another kind or too big, or the disk is full.
    """
    if target.exists():
        return target
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        with tags.memory_limited(MEMORY):
            _unpack_into(partial, archive, max_bytes)
        partial.replace(target)
    except (*DAMAGE, ValueError) as error:
        why = str(error) or type(error).__name__
        raise CorpusError(f"{archive} is not an archive that can be unpacked: {why}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _unpack_into(folder, archive, max_bytes):
    """Write the members of an archive, counting what they take."""
    size, budget = archive.stat().st_size, max_bytes
    with (
        open(archive, "rb") as handle,
        tqdm(desc=f"unpacking {archive.name}", total=size, unit="B", unit_scale=True) as bar,
    ):
        for name, content in _members(handle):
            place = _inside(folder, name)
            (place if content is None else place.parent).mkdir(parents=True, exist_ok=True)
            budget = _spend(budget, BLOCK)
            if content is None:
                continue
            with open(place, "xb") as out:
                while chunk := content.read(CHUNK):
                    budget = _spend(budget, len(chunk))
                    out.write(chunk)
                    bar.update(max(0, handle.tell() - bar.n))


def _spend(budget, size):
    if size > budget:
        raise tarfile.TarError("it unpacks to more than is allowed here")
    return budget - size


def _members(handle):
    """Name and open content (None for a folder) of each member of an archive."""
    magic = handle.read(2)
    handle.seek(0)
    if magic == b"PK":
        with zipfile.ZipFile(handle) as packed:
            for info in packed.infolist():
                if info.flag_bits & 1:
                    raise zipfile.BadZipFile("it is encrypted")
                kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where no Unix made it
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise zipfile.BadZipFile(f"{info.filename!r} is a link or a device")
                if info.filename.endswith("/"):  # `is_dir` fails on an empty name
                    yield info.filename, None
                else:
                    with packed.open(info) as content:
                        yield info.filename, content
        return
    with tarfile.open(fileobj=handle, mode="r:*") as packed:
        for member in packed:
            if member.isdir():
                yield member.name, None
            elif member.isreg():
                yield member.name, packed.extractfile(member)
            else:
                raise tarfile.TarError(f"{member.name!r} is a link or a device")
        for _ in range(PADDING):  # a compressed stream is compared with its checksum at its end
            if not packed.fileobj.read(CHUNK):
                return
        raise tarfile.TarError("it goes on after its end")


def _inside(folder, name):
    """Path of a member within `folder`; refuses a name that leads anywhere else."""
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or ".." in parts or parts[0][1:2] == ":":
        raise tarfile.TarError(f"{name!r} leads outside the folder")
    return folder.joinpath(*parts)
