"""Downloads from bad servers, and archives that mean harm."""

import hashlib
import io
import os
import re
import stat
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import serving

from genre_utils.data import downloads, folders

CONTENT = np.random.default_rng(0).bytes(3 << 20)
SUMS = {kind: f"{kind}:{hashlib.new(kind, CONTENT).hexdigest()}" for kind in ("md5", "sha1")}
SUMS["sha256"] = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
LIMIT = 4 << 20


@pytest.fixture
def server():
    with serving({"file.bin": CONTENT}) as running:
        yield running


def get(server, target, *modes, checksum=SUMS["md5"], max_bytes=LIMIT, **options):
    urls = [server.at(mode, "file.bin") for mode in modes]
    options = {"timeout": (1, 0.5)} | options
    return downloads.fetch(urls, target, max_bytes=max_bytes, checksum=checksum, **options)


# ---------------------------------------------------------------------------- downloading


@pytest.mark.parametrize("kind", SUMS)
def test_a_file_arrives_whole_and_its_checksum_is_compared(server, tmp_path, kind):
    target = tmp_path / "deep" / "file.bin"
    assert get(server, target, "right", checksum=SUMS[kind]) == target
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_a_file_that_is_there_is_left_alone(server, tmp_path):
    target = tmp_path / "file.bin"
    target.write_bytes(b"my own")
    get(server, target, "right")
    assert target.read_bytes() == b"my own"
    assert server.requests == []


def test_a_cut_connection_goes_on_where_it_was_cut(server, tmp_path):
    target = tmp_path / "file.bin"
    with pytest.raises(folders.CorpusError, match="could not be downloaded"):
        get(server, target, "cut")
    asked = [int(header[6:-1]) for _, _, header in server.requests if header]
    assert len(asked) >= 3  # each connection brought half of what was left
    assert asked == sorted(set(asked)) and asked[0] > len(CONTENT) // 2 - 2 * downloads.PIECE
    have = (tmp_path / "file.bin.part").stat().st_size
    assert get(server, target, "right").read_bytes() == CONTENT
    assert server.requests[-1] == ("right", "file.bin", f"bytes={have}-")
    assert not (tmp_path / "file.bin.part").exists()


def test_a_line_that_goes_silent_is_cut_and_taken_up_again(server, tmp_path):
    assert get(server, tmp_path / "file.bin", "stall", "right").read_bytes() == CONTENT
    assert len(server.requests) > 2


def test_a_server_without_ranges_starts_over(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert get(server, tmp_path / "file.bin", "noranges").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_part_that_is_whole_already_is_used(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert get(server, tmp_path / "file.bin", "right").read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("left", [b"of another file", bytes(LIMIT)], ids=["short", "long"])
def test_a_part_of_another_file_costs_one_more_attempt(server, tmp_path, left):
    (tmp_path / "file.bin.part").write_bytes(left)
    assert get(server, tmp_path / "file.bin", "right").read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_without_a_checksum_nothing_is_pieced_together(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"of another file")
    target = get(server, tmp_path / "file.bin", "cut", "right", checksum=None)
    assert target.read_bytes() == CONTENT
    assert [header for _, _, header in server.requests] == ["", ""]


def test_the_next_mirror_is_asked_when_one_fails(server, tmp_path):
    target = tmp_path / "file.bin"
    assert get(server, target, "missing", "hang", "corrupt", "right").read_bytes() == CONTENT


def test_what_the_caller_checks_is_refused_too(server, tmp_path):
    def check(path):
        if path.read_bytes() != CONTENT:
            raise ValueError("is not the list")

    target = tmp_path / "file.bin"
    assert get(server, target, "corrupt", "right", checksum=None, check=check).exists()
    target.unlink()
    with pytest.raises(folders.CorpusError, match="is not the list"):
        get(server, target, "corrupt", checksum=None, check=check)


def test_when_no_mirror_has_it_all_are_named_with_what_happened(server, tmp_path):
    target = tmp_path / "file.bin"
    modes = ["missing", "hang", "corrupt"]
    urls = [server.at(mode, "file.bin") for mode in modes] + ["http://127.0.0.1:9/file.bin"]
    with pytest.raises(folders.CorpusError) as error:
        downloads.fetch(urls, target, max_bytes=LIMIT, checksum=SUMS["md5"], timeout=(1, 0.3))
    said = str(error.value)
    told = ["answered 404 Not Found", "did not answer in time", "hash", "Connection refused"]
    for url, what in zip(urls, told, strict=True):
        assert re.search(rf"{re.escape(url)}\n +.*{what}", said), said
    assert said.endswith(f"put it here: {target}")
    assert not target.exists()
    assert not (tmp_path / "file.bin.part").exists()


@pytest.mark.parametrize("mode", ["right", "endless"])
def test_a_mirror_that_sends_too_much_is_given_up(server, tmp_path, mode):
    with pytest.raises(folders.CorpusError, match=r"more than the 1,000,000"):
        get(server, tmp_path / "file.bin", mode, max_bytes=1_000_000)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_a_folder_that_cannot_be_written_is_no_mirrors_fault(server, tmp_path):
    (tmp_path / "taken").write_bytes(b"a file")
    with pytest.raises(folders.CorpusError, match="cannot be written"):
        get(server, tmp_path / "taken" / "file.bin", "right", "right")
    assert server.requests == []


# ---------------------------------------------------------------------------- unpacking


def tar_of(path, *members, mode="w:gz"):
    """Write a tar of names and bytes, or of ready entries."""
    with tarfile.open(path, mode) as packed:
        for entry, content in members:
            if isinstance(entry, str):
                entry = tarfile.TarInfo(entry)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return path


def zip_of(path, *members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return path


def special(name, kind, linkname=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, linkname
    return entry


def unix(name, kind):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (kind | 0o777) << 16
    return entry


def everything(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


NAMES = st.from_regex(r"[a-zA-Z0-9 _.é-]{1,8}", fullmatch=True).filter(lambda n: n.strip(". "))
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=50), max_size=6
).filter(lambda tree: not any(b.startswith(a + "/") for a in tree for b in tree))
PACKERS = {
    ".tar": lambda path, members: tar_of(path, *members, mode="w"),
    ".tar.gz": lambda path, members: tar_of(path, *members),
    ".tar.bz2": lambda path, members: tar_of(path, *members, mode="w:bz2"),
    ".tar.xz": lambda path, members: tar_of(path, *members, mode="w:xz"),
    ".zip": lambda path, members: zip_of(path, *members),
    ".bzip2.zip": lambda path, members: zip_of(path, *members, method=zipfile.ZIP_BZIP2),
}


@given(tree=TREES, kind=st.sampled_from(sorted(PACKERS)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_what_was_packed_comes_out(tmp_path_factory, tree, kind):
    folder = tmp_path_factory.mktemp("packed")
    packed = PACKERS[kind](folder / "named without suffix", tree.items())
    out = downloads.unpack(packed, folder / "a" / "b", max_bytes=10_000)
    assert everything(out) == tree
    assert list(out.parent.iterdir()) == [out]


def test_folders_are_made_and_a_finished_one_is_not_made_again(tmp_path):
    packed = zip_of(tmp_path / "a.zip", ("empty/", b""), ("rock/a.wav", b"x"))
    out = downloads.unpack(packed, tmp_path / "out", max_bytes=10_000)
    assert (out / "empty").is_dir()
    (out / "rock" / "a.wav").write_bytes(b"mine")
    assert downloads.unpack(packed, out, max_bytes=10_000) == out
    assert (out / "rock" / "a.wav").read_bytes() == b"mine"


FINE = ("rock/fine.wav", b"x")
EVIL = {
    "up": lambda p: tar_of(p, FINE, ("../evil.wav", b"x")),
    "up inside": lambda p: tar_of(p, FINE, ("rock/../../evil.wav", b"x")),
    "symlink": lambda p: tar_of(p, FINE, (special("evil.wav", tarfile.SYMTYPE, "/etc"), b"")),
    "symlink inside": lambda p: tar_of(
        p, FINE, (special("evil.wav", tarfile.SYMTYPE, "rock/fine.wav"), b"")
    ),
    "hard link": lambda p: tar_of(
        p, FINE, (special("evil.wav", tarfile.LNKTYPE, "rock/fine.wav"), b"")
    ),
    "fifo": lambda p: tar_of(p, FINE, (special("evil.wav", tarfile.FIFOTYPE), b"")),
    "device": lambda p: tar_of(p, FINE, (special("evil.wav", tarfile.CHRTYPE), b"")),
    "twice": lambda p: tar_of(p, FINE, FINE),
    "file as folder": lambda p: tar_of(p, FINE, ("rock/fine.wav/evil.wav", b"x")),
    "zip up": lambda p: zip_of(p, FINE, ("../evil.wav", b"x")),
    "zip backslash": lambda p: zip_of(p, FINE, ("..\\evil.wav", b"x")),
    "zip drive": lambda p: zip_of(p, FINE, ("C:/evil.wav", b"x")),
    "zip absolute": lambda p: zip_of(p, FINE, (f"{p.parent}/evil.wav", b"x")),
    "zip symlink": lambda p: zip_of(p, FINE, (unix("evil.wav", stat.S_IFLNK), b"/etc/passwd")),
    "zip device": lambda p: zip_of(p, FINE, (unix("evil.wav", stat.S_IFCHR), b"")),
}


@pytest.mark.parametrize("kind", EVIL)
def test_a_malicious_archive_is_refused_and_leaves_nothing(tmp_path, kind):
    (tmp_path / "in").mkdir()
    packed = EVIL[kind](tmp_path / "in" / "evil.bin")
    with pytest.raises(folders.CorpusError, match=re.escape(str(packed))):
        downloads.unpack(packed, tmp_path / "work" / "out", max_bytes=10_000)
    assert [path.name for path in tmp_path.rglob("*") if not path.is_dir()] == ["evil.bin"]


def bomb(path):
    return tar_of(path, ("bomb.wav", bytes(30 << 20)))


def zip_bomb(path):
    return zip_of(path, ("bomb.wav", bytes(30 << 20)))


def lying_bomb(path):
    """A zip whose directory says 10 bytes of a member of 30 MiB."""
    zip_bomb(path)
    content = path.read_bytes().replace(
        (30 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little")
    )
    path.write_bytes(content)
    return path


def sparse_bomb(path):
    """A tar of one file that is a terabyte of hole."""
    header = special("bomb.wav", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT)
    field = tarfile.itn(1 << 40, 12, tarfile.GNU_FORMAT)
    block = bytearray(header)
    block[386:398], block[398:410] = tarfile.itn(0, 12), tarfile.itn(0, 12)
    block[483:495] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path.write_bytes(bytes(block) + bytes(1024))
    return path


def many_files(path):
    return tar_of(path, *[(f"{n}.wav", b"") for n in range(3000)])


@pytest.mark.parametrize("make", [bomb, zip_bomb, lying_bomb, sparse_bomb, many_files])
def test_a_bomb_does_not_go_off(tmp_path, make):
    packed = make(tmp_path / "bomb.bin")
    with pytest.raises(folders.CorpusError, match=r"bomb\.bin is not an archive"):
        downloads.unpack(packed, tmp_path / "out", max_bytes=1 << 20)
    assert os.listdir(tmp_path) == ["bomb.bin"]


@pytest.mark.parametrize("kind", sorted(PACKERS))
@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty"])
def test_a_damaged_archive_is_refused_and_leaves_nothing(tmp_path, kind, damage):
    packed = PACKERS[kind](tmp_path / "a.bin", [("rock/a.wav", CONTENT[:50_000])])
    content = bytearray(packed.read_bytes())
    if kind == ".tar" and damage == "flipped":
        content[0] ^= 255  # a tar has a checksum of its headers alone
    content[len(content) // 2] ^= 255
    broken = {"cut": content[: len(content) // 2], "flipped": content, "text": b"hi", "empty": b""}
    packed.write_bytes(broken[damage])
    with pytest.raises(folders.CorpusError, match=r"a\.bin is not an archive that can be unpacked"):
        downloads.unpack(packed, tmp_path / "out", max_bytes=1 << 20)
    assert os.listdir(tmp_path) == ["a.bin"]


def test_an_encrypted_archive_is_refused_with_the_reason(tmp_path):
    packed = zip_of(tmp_path / "a.zip", FINE)
    content = bytearray(packed.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[6] |= 1
    content[directory + 8] |= 1
    packed.write_bytes(content)
    with pytest.raises(folders.CorpusError, match="it is encrypted"):
        downloads.unpack(packed, tmp_path / "out", max_bytes=10_000)


def test_what_an_interrupted_run_left_is_cleared_away(tmp_path):
    packed = zip_of(tmp_path / "a.zip", FINE)
    (tmp_path / ".out.partial" / "rock").mkdir(parents=True)
    (tmp_path / ".out.partial" / "rock" / "half.wav").write_bytes(b"x")
    assert set(everything(downloads.unpack(packed, tmp_path / "out", max_bytes=10_000))) == {
        FINE[0]
    }
    assert sorted(os.listdir(tmp_path)) == ["a.zip", "out"]
