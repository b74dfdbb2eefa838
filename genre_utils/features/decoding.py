"""Any file as sound: opened with libsndfile or ffmpeg within limits, examined, refused."""

import contextlib
import hashlib
import os
import re
import stat
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from genre_utils.workspace import files

COMPANIONS = {".csv", ".json", ".txt", ".md", ".jpg", ".jpeg", ".png", ".gif", ".pdf", ".m3u"}
COMPANIONS |= {".m3u8", ".cue", ".log", ".nfo", ".ini", ".db", ".xml"}  # files beside music

SILENCE = 1e-4  # full scale; a clip whose loudest sample lies under it (-80 dBFS) is silent
LOUDEST = 1e4  # full scale; floating-point files may exceed 1, but not by 80 dB
BLOCK = 1 << 18  # values decoded at a time, so that memory does not grow with the file
TOLERANCE = 0.1  # seconds by which a file may end before the length that it says
SPARE = 4096  # bytes by which a header may be off
STEP = 0.5  # seconds of which it is told whether anything can be heard
CANCELLED = 0.01  # share of the loudest channel under which a mix has lost the music

# limits that no music meets, whatever a header says
MAX_SECONDS = 2 * 3600
MAX_VALUES = 1_500_000_000  # of all channels together: two hours of stereo at 96 kHz
MAX_CHANNELS = 64
MAX_BYTES = 12_000_000_000  # of a file: so many values of 64 bits
RATES = (1_000, 384_000)  # Hz
UNKNOWN_FRAMES = 1 << 62  # libsndfile's length of a FLAC file that does not say it

# what ffmpeg may open: nothing that follows references to other files or addresses
FFMPEG_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,iff,loas,matroska,mov,mp3,mp4,"
    "mpc,mpc8,mpeg,mpegts,nut,ogg,oma,qcp,rm,shn,tak,truehd,tta,voc,w64,wav,webm,wsd,wv,xwma"
)
FFMPEG_SECONDS = 120  # of computing, after which it is stopped
FFMPEG_BYTES = 2_600_000_000  # of decoded sound on disk: two hours of stereo at 44.1 kHz
TOO_LONG = "too long: it goes on after {:.0f} minutes, cut it into tracks"
LONG = 600  # seconds from which a clip is decoded alone, from about the middle
_CUT = re.compile("partial file|ended prematurely|[Pp]acket corrupt|corrupt decoded frame")


#: What libsndfile's binding raises on files, besides its own error (of ``.raw``: TypeError).
FOREIGN: tuple[type[BaseException], ...] = (soundfile.SoundFileError, TypeError, ValueError)
FOREIGN += (ArithmeticError, LookupError, AttributeError, AssertionError, MemoryError)


class UndecodableError(ValueError):
    """Neither libsndfile nor ffmpeg makes sound of a file; the message says why."""


class Examination(NamedTuple):
    """What decoding a whole file showed; `reason` is empty when the file can be used."""

    duration_s: float
    audio_md5: str
    reason: str


def examine(
    path: str | Path,
    *,
    min_seconds: float,
    clip_seconds: float = 0.0,
    hear: Callable | None = None,
) -> Examination:
    """Decode a whole file, block by block, and say why it cannot be used, if it cannot.

    Time and memory are bounded whatever it holds. The MD5 is of the decoded samples. `hear` is
    given each block, (frames, channels) float32, and the sample rate in Hz. Where `clip_seconds`
    is given, `min_seconds` of the `passage` of that length must be heard.
    """
    path = on_disk(path)
    try:
        _check_file(path)
        missing = bytes_missing(path)
        with opened(path) as sound:
            found = _examine_sound(sound, min_seconds, missing, hear)
            if clip_seconds and not found.reason:
                y = passage(sound, clip_seconds)
                found = found._replace(reason=_unheard(y, sound.samplerate, min_seconds))
            return found
    except UndecodableError as error:
        return Examination(0.0, "", str(error))
    except OSError as error:
        return Examination(0.0, "", f"cannot be read ({error.strerror or error})")


def _unheard(y, sr, min_seconds):
    heard, seconds = audible_seconds(y, sr), len(y) / sr
    if heard >= min(min_seconds, seconds):
        return ""
    return (
        f"silent: of the {seconds:.1f} s that would be used, {heard:.1f} s can be heard (over -80 "
        f"dBFS, without offset), at least {min_seconds:g} s are needed"
    )


def music_in(folder: str | Path, *, deep: bool = True) -> list[Path]:
    """Files below a folder, in order, without hidden ones and such as lie beside music."""
    folder = Path(folder)
    return sorted(
        path
        for path in (files.below(folder) if deep else filter(Path.is_file, folder.iterdir()))
        if path.suffix.lower() not in COMPANIONS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def on_disk(path: str | Path) -> Path:
    r"""Path of a file by its name in a table, where no UTF-8 is spelled out (``caf\udce9``)."""
    path = Path(path)
    if os.path.lexists(path):
        return path
    return Path(re.sub(r"\\udc([89a-f][0-9a-f])", lambda m: chr(0xDC00 + int(m[1], 16)), str(path)))


def _check_file(path):
    """Refuse an empty or huge file, and a pipe, which could keep a reader waiting for ever."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UndecodableError("cannot be read: it is a folder, pipe, socket or device, no file")
    if found.st_size > MAX_BYTES:
        raise UndecodableError(
            f"cannot be read: its {found.st_size / 1e9:,.0f} GB are more than {MAX_BYTES / 1e9:g}"
        )
    if found.st_size == 0:
        raise UndecodableError("empty file (0 bytes)")


def _examine_sound(sound, min_seconds, missing, hear):
    digest, frames, peak, finite = hashlib.md5(), 0, 0.0, True
    damage, too_long = "", False
    try:
        for block in blocks(sound):
            digest.update(block.tobytes())
            frames += len(block)
            finite = finite and bool(np.isfinite(block).all())
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            if hear:
                hear(block, sound.samplerate)
            too_long = frames > min(MAX_SECONDS * sound.samplerate, MAX_VALUES // sound.channels)
            if too_long:
                break
    except UndecodableError as error:
        damage = f" ({str(error).removeprefix('damaged: ')})"
    seconds = frames / sound.samplerate
    short = sound.frames - frames > TOLERANCE * sound.samplerate
    faults = {
        TOO_LONG.format(seconds / 60): too_long,
        f"truncated: {missing:,} bytes that its header announces are missing": missing,
        f"truncated or damaged: decoding ends after {seconds:.1f} s{damage}": damage or short,
        "empty: a header without any sound": frames == 0,
        "holds samples that are not finite numbers": not finite,
        f"its loudest sample is {peak:.0e} times full scale, which is no music": peak > LOUDEST,
        f"silent: its loudest sample is {peak:.0e} of full scale": peak < SILENCE,
        f"too short: {seconds:.1f} s, at least {min_seconds:g} s are needed": seconds < min_seconds,
    }
    reason = next((fault for fault, found in faults.items() if found), "")
    return Examination(seconds, digest.hexdigest(), reason)


def blocks(sound, frames=np.inf):
    """Yield the next `frames` frames, (frames, channels) float32, in blocks of bounded size."""
    length = max(1, BLOCK // sound.channels)
    # not `sound.blocks`, which fills up with stale samples where a file ends early
    while frames > 0:
        try:
            block = sound.read(int(min(length, frames)), dtype="float32", always_2d=True)
        except FOREIGN as error:
            raise UndecodableError(f"damaged: {_complaint(error)}") from error
        if not len(block):
            return
        frames -= len(block)
        yield block


def mono(block: np.ndarray) -> np.ndarray:
    """Mean of channels, (frames, channels); of such as cancel one another out the loudest alone."""
    mixed = block.mean(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):  # of samples that are no numbers
        swing = np.ptp(block, axis=0)
        return block[:, swing.argmax()] if np.ptp(mixed) < CANCELLED * swing.max() else mixed


def audible_seconds(y: np.ndarray, sr: int) -> float:
    """Seconds of mono samples, counted by `STEP`, in which anything but an offset is heard."""
    if not len(y):
        return 0.0
    starts = np.arange(0, len(y), round(STEP * sr))
    swing = np.maximum.reduceat(y, starts) - np.minimum.reduceat(y, starts)
    return float(np.diff(starts, append=len(y))[swing >= 2 * SILENCE].sum() / sr)


def passage(sound: soundfile.SoundFile, seconds: float) -> np.ndarray:
    """Mono samples of the middle of an open file; where half is silent, of where most is heard."""
    sr, wanted = sound.samplerate, min(sound.frames, round(seconds * sound.samplerate))
    y = _read(sound, (sound.frames - wanted) // 2, wanted)
    if wanted < sound.frames and audible_seconds(y, sr) < wanted / sr / 2:
        y = _read(sound, _most_heard(sound, wanted), wanted)
    return y


def _read(sound, start, frames):
    try:
        sound.seek(start)
    except FOREIGN as error:
        raise UndecodableError(f"damaged: {_complaint(error)}") from error
    return np.concatenate([np.empty(0, np.float32), *map(mono, blocks(sound, frames))])


def _most_heard(sound, wanted):
    """Frame from which on `wanted` frames hold most sound, the first such in steps of `STEP`."""
    step, heard = round(STEP * sound.samplerate), []
    sound.seek(0)
    while len(y := _read(sound, sound.tell(), step)):
        heard.append(audible_seconds(y, sound.samplerate))
    together = np.convolve(heard, np.ones(max(1, wanted // step)), "valid")
    return min(int(together.argmax()) * step, sound.frames - wanted)


def bytes_missing(path: str | Path) -> int:
    """Bytes of sound that a header announces beyond the end; 0 where the format does not tell.

    RIFF, AIFF and AU files announce a size (streamed ones 0 or about the largest number), Ogg files
    that of each page.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as handle:
        header = handle.read(12)
        magic = header[:4]
        if magic == b"OggS":
            handle.seek(max(0, size - 65_536))  # longer than any page
            end = handle.read()
            page = end[max(0, end.rfind(magic)) :]
            announced = 27 + page[26] + sum(page[27 : 27 + page[26]]) if len(page) > 26 else 27
            return max(0, announced - len(page))
        if len(header) < 12:
            return 0
        if magic in (b"RIFF", b"RIFX", b"FORM"):
            begin, announced = _sound_chunk(handle, "<I" if magic == b"RIFF" else ">I")
        elif magic == b".snd":
            begin, announced = struct.unpack(">II", header[4:])
        else:
            return 0
    missing = begin + announced - size if 0 < announced < 0x7FFF0000 else 0
    return missing if missing > SPARE else 0


def _sound_chunk(handle, number):
    """Place and announced size of the samples of a RIFF or AIFF file; 0 if there are none."""
    for _ in range(1000):  # chunks: no music has more
        head = handle.read(8)
        if len(head) < 8:
            break
        announced = struct.unpack(number, head[4:])[0]
        if head[:4] in (b"data", b"SSND", b"BODY"):
            return handle.tell(), announced
        handle.seek(announced + announced % 2, os.SEEK_CUR)
    return 0, 0


def sound_file(path: str | Path) -> soundfile.SoundFile:
    """Open a file by libsndfile; raises `UndecodableError` with its complaint."""
    try:
        return soundfile.SoundFile(os.fsencode(path))  # bytes: any name will do
    except FOREIGN as error:
        raise UndecodableError(_complaint(error)) from error


def _complaint(error):
    """What libsndfile's binding says of a file that is there."""
    said = getattr(error, "error_string", "").strip(". ")
    return "Format not recognised" if not said or "does not exist" in said else said


@contextlib.contextmanager
def opened(path: str | Path, *, clip_seconds: float | None = None):
    """Yield any file that libsndfile or ffmpeg decodes as an open ``soundfile.SoundFile``.

    What libsndfile refuses, and an MP3 whose length it would guess, ffmpeg decodes into a temporary
    file, within limits; of over ten minutes the middle alone when only `clip_seconds` are needed.
    Raises `UndecodableError` if that fails, or the header announces what no music has, and OSError.
    """
    path = on_disk(path)
    _check_file(path)
    try:
        sound = sound_file(path)
    except UndecodableError as error:
        refusal = str(error)
    else:
        with sound:
            announced = sound.frames > 0 or path.stat().st_size < SPARE
            known = announced and sound.frames < UNKNOWN_FRAMES
            if known and says_its_length(path, sound.format):
                yield _plausible(sound)
                return
        refusal = "of unknown length"
    with tempfile.TemporaryDirectory() as folder:
        decoded = Path(folder) / "decoded.caf"  # libsndfile misreads W64 of many channels
        _convert(path, decoded, refusal, clip_seconds)
        with soundfile.SoundFile(decoded) as sound:
            yield _plausible(sound)


def _plausible(sound):
    """Return an open file unless its header announces what no music has."""
    rate, channels = sound.samplerate, sound.channels
    if not RATES[0] <= rate <= RATES[1]:
        raise UndecodableError(f"its header announces {rate:,} samples a second, which is no music")
    if channels > MAX_CHANNELS:
        refused = f"it has {channels:,} channels, at most {MAX_CHANNELS} can be mixed down"
        raise UndecodableError(refused)
    return sound


def says_its_length(path: str | Path, kind: str) -> bool:
    """Whether libsndfile knows how long a file of its format `kind` is; of an MP3 it may guess."""
    if kind != "MP3":
        return True
    with open(path, "rb") as handle:
        start = handle.read(10)
        size = 10 + sum(byte << 7 * i for i, byte in enumerate(start[:5:-1]))  # of a tag
        handle.seek(size if start[:3] == b"ID3" else 0)
        frame = handle.read(2048)
    return any(name in frame for name in (b"Xing", b"Info", b"VBRI"))


def _convert(path, decoded, refusal, clip_seconds):
    """Decode a file with ffmpeg; raise `UndecodableError` if that fails or ends early."""
    limit = LONG if clip_seconds else MAX_SECONDS
    output = ["-map", "0:a:0", "-c:a", "pcm_f32le", "-fs", str(FFMPEG_BYTES), "-f", "caf", "-y"]
    said = _ffmpeg(path, [*output, "-t", str(limit + 1), str(decoded)], refusal)
    if not decoded.exists() or decoded.stat().st_size == 0 or "Output #0" not in said:
        raise UndecodableError(f"not audio that can be decoded ({refusal}; ffmpeg: {_why(said)})")
    try:
        seconds = soundfile.info(decoded).duration
    except soundfile.LibsndfileError as error:
        raise UndecodableError(f"not audio that can be decoded ({error.error_string})") from error
    if clip_seconds and seconds > LONG:
        start = (_announced_seconds(said) - clip_seconds) / 2
        part = ["-t", str(clip_seconds if start > 0 else MAX_SECONDS), str(decoded)]
        _ffmpeg(path, output + part, refusal, start=max(0.0, start))
        return
    if seconds > MAX_SECONDS or decoded.stat().st_size >= FFMPEG_BYTES - (1 << 20):
        raise UndecodableError(TOO_LONG.format(seconds / 60))
    short = _announced_seconds(said) - seconds > max(0.5, 0.01 * seconds)
    damaged = "Error submitting packet" in said and "Input #0, mp3" not in said
    cut = _CUT.search(said) and "Ignoring maximum wav data size" not in said  # that ends anywhere
    if short or damaged or cut:
        raise UndecodableError(f"truncated or damaged: decoding ends after {seconds:.1f} s")


def ffmpeg_listing(path: Path) -> str:
    """What ffmpeg tells of a file and its tags; raises `UndecodableError` if it cannot be run."""
    return _ffmpeg(path, ["-t", "0", "-f", "null", "-"], "for its tags")


def _ffmpeg(path, output, refusal, *, start=0.0):
    """Decode with ffmpeg, which reads this one file alone; what it says."""
    try:
        import imageio_ffmpeg

        program = imageio_ffmpeg.get_ffmpeg_exe()
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(files.installation(error), name=error.name) from None
    except RuntimeError:
        refusal += ", and this machine has no ffmpeg"
        raise UndecodableError(f"not audio that can be decoded ({refusal})") from None
    command = [program, "-hide_banner", "-nostdin", "-nostats", "-threads", "1"]
    command += ["-max_alloc", str(1 << 28), "-timelimit", str(FFMPEG_SECONDS)]
    command += ["-protocol_whitelist", "file", "-format_whitelist", FFMPEG_FORMATS]
    command += ["-ss", str(start)] if start else []  # 0 would drop the first packet of AAC
    # "file:" so that no name is taken for an option, an address or a list of files
    command += ["-vn", "-sn", "-dn", "-i", b"file:" + os.fsencode(path.absolute()), *output]
    try:
        done = subprocess.run(command, capture_output=True, timeout=FFMPEG_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UndecodableError(f"decoding takes over {FFMPEG_SECONDS} s: it was stopped") from None
    return done.stderr.decode(errors="replace")


def _announced_seconds(said):
    """Duration that a container announces; 0 where it is unknown or guessed from the bit rate."""
    found = re.search(r"Duration: (\d+):(\d\d):(\d\d\.\d+)", said)
    if not found or "Estimating duration from bitrate" in said:
        return 0.0
    hours, minutes, seconds = found.groups()
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _why(said):
    """Return ffmpeg's first complaint, without the address of its part in memory."""
    lines = [re.sub(r"^(\[.*?\] |Error opening input: )*", "", line) for line in said.splitlines()]
    told = [line for line in lines if re.search("rror|nvalid|not |No |matches no", line)]
    told = [line for line in told if "input file" not in line and not line.startswith("Ignoring")]
    first = re.split(" '?file:| 'aac,", (told or ["no reason given"])[0])[0]
    return re.sub("[^ -~]", "?", first)[:80].strip(". ")  # it may quote the file
