"""Mutate sound files in every way that files go wrong, audit and recognise them.

    python tests/fuzz_audio.py --count 10000 --seed 0

Every file must be used or excluded with a reason, within bounded time and memory, what is used
must give finite features, and ``recognize`` must answer or say why not. Prints tables of both.
"""

import argparse
import io
import json
import os
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import jsonschema
import numpy as np
import soundfile

from genre_utils.data import auditing, corpora
from genre_utils.features import audio, extraction, recipes
from genre_utils.recognition import exported_model
from genre_utils.workspace import files, parallel

SR, SECONDS = 22_050, 2.0
EXTENSIONS = ("wav", "float.wav", "flac", "ogg", "mp3", "au", "aiff", "m4a", "wma", "webm", "aac")
EXTREMES = [0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]
BATCH = 500  # files audited at a time, so that the disk is not filled
SECONDS_A_FILE = 3.0  # on average, of audit and features together
GIBIBYTES = 3.0  # that a process may hold
SCHEMA = jsonschema.Draft202012Validator(files.read_json(exported_model.SCHEMA))


def sounds(rng):
    """Two seconds each of made-up sound and, where there is some, of real music."""
    t = np.arange(round(SR * SECONDS)) / SR
    chord = sum(np.sin(2 * np.pi * f * t * (1 + 0.01 * t)) for f in rng.uniform(80, 3000, 5))
    yield 0.1 * chord + 0.02 * rng.normal(size=len(t))
    yield np.stack([0.3 * rng.normal(size=len(t)).clip(-3, 3), 0.1 * chord], axis=1)
    for path in sorted((files.data_folder() / "gtzan_mini" / "genres").glob("*/*00003.wav"))[:3]:
        yield soundfile.read(path, start=5 * SR, frames=len(t))[0]


def originals(rng):
    """Contents of good files, by extension."""
    import imageio_ffmpeg

    made = {extension: [] for extension in EXTENSIONS}
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "a.wav"
        for y in sounds(rng):
            soundfile.write(wav, y, SR)
            for extension in EXTENSIONS:
                path = Path(folder) / f"b.{extension}"
                if extension in ("m4a", "wma", "webm", "aac"):
                    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", wav]
                    subprocess.run([*command, path], check=True)
                else:
                    subtype = "FLOAT" if extension == "float.wav" else None
                    soundfile.write(path, y, SR, subtype=subtype)
                made[extension].append(path.read_bytes())
    return made


def bombs():
    """Small files that announce or hold very much."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(8_000 * 3 * 3600, np.int16), 8_000, format="FLAC")
    yield "flac", buffer.getvalue()  # three hours of silence
    for rate, channels, bits in [
        (0, 1, 16),
        (1, 1, 16),
        (2**31, 2, 16),
        (SR, 1024, 16),
        (SR, 0, 8),
    ]:
        block = channels * bits // 8
        header = struct.pack(
            "<HHIIHH", 1, channels, rate, rate * block % 2**32, block % 2**16, bits
        )
        for size in (1 << 16, 0xFFFFFFFF):
            chunks = (
                b"WAVEfmt " + struct.pack("<I", 16) + header + b"data" + struct.pack("<I", size)
            )
            body = b"RIFF" + struct.pack("<I", len(chunks) + (1 << 16)) + chunks
            yield "wav", body + bytes(range(256)) * 256
    yield "m3u.wav", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n"
    yield "concat.wav", b"ffconcat version 1.0\nfile /etc/passwd\n"
    yield "txt.mp3", b"Dear diary, " * 5000


def mutated(rng, pool):
    """One file gone wrong: its extension and its bytes."""
    extension = str(rng.choice(EXTENSIONS))
    content = bytearray(pool[extension][rng.integers(len(pool[extension]))])
    for _ in range(rng.integers(1, 3)):
        change = CHANGES[rng.integers(len(CHANGES))]
        content = bytearray(change(rng, content, pool))
    if rng.random() < 0.1:
        extension = str(rng.choice([*EXTENSIONS, "bin", "mp4", "opus"]))
    return extension, bytes(content)


def flip(rng, content, pool, end=None):
    """Flip up to fifty bits."""
    for place in rng.integers(0, max(1, end or len(content)), rng.integers(1, 50)):
        if place < len(content):
            content[place] ^= 1 << rng.integers(8)
    return content


def flip_header(rng, content, pool):
    """Flip bits of the first hundred bytes."""
    return flip(rng, content, pool, end=100)


def extreme_field(rng, content, pool):
    """Write the smallest or largest number into a field of the header, or of the index."""
    value = EXTREMES[rng.integers(len(EXTREMES))]
    width = int(rng.choice([2, 4, 8]))
    order = str(rng.choice(["little", "big"]))
    field = (value % 256**width).to_bytes(width, order)
    begin = int(rng.integers(0, 120)) if rng.random() < 0.8 else int(rng.integers(len(content) + 1))
    content[begin : begin + width] = field
    return content


def truncate(rng, content, pool):
    """Keep the first part."""
    return content[: rng.integers(len(content) + 1)]


def splice(rng, content, pool):
    """Join the start with the end of another file, of any kind."""
    other = pool[str(rng.choice(EXTENSIONS))][0]
    return content[: rng.integers(len(content) + 1)] + other[rng.integers(len(other)) :]


def cut_out(rng, content, pool):
    """Take a piece out."""
    begin = rng.integers(len(content) + 1)
    return content[:begin] + content[begin + rng.integers(1, 5000) :]


def insert(rng, content, pool):
    """Put noise, zeros or a copy of a piece in."""
    begin = rng.integers(len(content) + 1)
    length = int(rng.integers(1, 5000))
    piece = [rng.bytes(length), bytes(length), content[begin : begin + length]][rng.integers(3)]
    return content[:begin] + piece + content[begin:]


def append(rng, content, pool):
    """Add bytes that do not belong there."""
    return content + rng.bytes(rng.integers(1, 3000))


def tag(rng, content, pool):
    """Put an ID3 tag of a wrong size before it."""
    size = bytes(rng.integers(0, 128, 4).tolist())
    frame = b"TPE1" + struct.pack(">I", int(rng.integers(2**20))) + b"\0\0\3" + rng.bytes(30)
    return (
        b"ID3"
        + bytes([int(rng.integers(2, 5)), 0, int(rng.integers(256))])
        + size
        + frame
        + content
    )


def noise(rng, content, pool):
    """Nothing but noise, or nothing but one byte."""
    length = int(rng.integers(1, 50_000))
    return bytearray(
        rng.bytes(length) if rng.random() < 0.5 else bytes([rng.integers(256)]) * length
    )


def nothing(rng, content, pool):
    """A file that is as it should be."""
    return content


CHANGES = [flip, flip, flip_header, flip_header, extreme_field, extreme_field, extreme_field]
CHANGES += [truncate, splice, cut_out, insert, append, tag, noise, nothing]


def features_of(path):
    """Whether all features of a file are finite, and the largest memory of this process."""
    recipe = recipes.Recipe(clip_seconds=SECONDS, excerpt_seconds=SECONDS / 2)
    y, _ = audio.load_clip(path, seconds=SECONDS)
    cheap = [name for name in extraction.ALL if name not in ("chroma_cqt", "harmonic_share")]
    found = extraction.frame_features(y, recipe, cheap)
    finite = all(np.isfinite(values).all() for values in [y, *found.values()])
    return finite and len(y) > 0, _gibibytes()


def _gibibytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def audit(folder, *, n_jobs):
    """Audit one folder and extract what would be used or is a copy; return reasons and memory."""
    begin = time.monotonic()
    found = corpora.find_tracks("folder", folder)
    tracks = auditing.audit(found, folder, min_seconds=SECONDS / 2, n_jobs=n_jobs)
    report = auditing.audit_report(found, tracks)
    assert json.loads(json.dumps(report, allow_nan=False))["totals"]["files"] == len(found)
    assert np.isfinite(tracks["duration_s"]).all()
    assert (tracks["reason"].str.len() > 0).eq(tracks["status"] == "excluded").all()
    assert tracks.loc[tracks["status"] == "used", "duration_s"].ge(SECONDS / 2).all()
    files.write_table(folder / "tracks.parquet", tracks)
    sound = tracks[tracks["reason"].str.match("$|near-duplicate|duplicate")]
    jobs = [(folder / path,) for path in sound["path"]]
    settings = {"desc": "features", "unit": "file", "folder": folder, "n_jobs": n_jobs}
    results = list(parallel.over(features_of, jobs, len(jobs), **settings))
    for (path,), (finite, gibibytes) in zip(jobs, results, strict=True):
        assert finite, f"{path} is used, but its features are not finite"
        assert gibibytes < GIBIBYTES, f"{gibibytes:.1f} GiB are held after {path}"
    seconds = time.monotonic() - begin
    assert seconds < 60 + SECONDS_A_FILE * len(found), f"{seconds:.0f} s for {len(found)} files"
    most = max([_gibibytes(), *(gibibytes for _, gibibytes in results)])
    assert most < GIBIBYTES, f"{most:.1f} GiB are held after files of {folder}"
    return Counter(map(kind, tracks["reason"])), most


def recognise(folder):
    """Ask the command line about every file of a folder; return how often it said what."""
    command = [sys.executable, "-m", "genre_utils", "recognize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == sum(path.is_file() for path in folder.rglob("*"))
    for answer in answers:
        SCHEMA.validate(answer)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    assert most < GIBIBYTES, f"{most:.1f} GiB were held by recognition of {folder}"
    return Counter(kind(answer.get("error", "recognised")) for answer in answers)


def kind(reason):
    """Return a reason without what differs from file to file."""
    reason = re.sub(r"(duplicate of )\S+", r"\1...", reason)
    reason = re.sub(r"under different genres \(.*\)", "under different genres", reason)
    return re.sub(r"[\d,.]*\d(e-\d+)?", "#", reason)[:110] or "used"


def fuzz(count, seed, *, n_jobs=-1, with_bombs=True):
    """Make, audit, recognise and forget `count` files.

    Returns how often each reason was given, and each answer, and the most memory held in GiB.
    """
    rng = np.random.default_rng(seed)
    pool = originals(rng)
    reasons, answers, most = Counter(), Counter(), 0.0
    for first in range(0, count, BATCH):
        with tempfile.TemporaryDirectory() as folder:
            made = list(bombs()) if with_bombs and first == 0 else []
            made += [mutated(rng, pool) for _ in range(min(BATCH, count - first) - len(made))]
            for number, (extension, content) in enumerate(made):
                name = os.fsdecode(b"\xe9") if number % 50 == 7 else ""
                path = Path(folder) / ("jazz", "rock")[number % 2] / f"{name}{number}.{extension}"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            try:
                answers += recognise(Path(folder))
                found, gibibytes = audit(Path(folder), n_jobs=n_jobs)
            except BaseException:
                kept = Path(tempfile.mkdtemp()) / "fuzz"
                os.rename(folder, kept)
                Path(folder).mkdir()
                print(f"seed {seed}, files from {first}: kept in {kept}", file=sys.stderr)
                raise
        reasons += found
        most = max(most, gibibytes)
        done = f"{reasons['used']} used, {answers['recognised']} recognised, {most:.2f} GiB at most"
        print(f"{reasons.total()} files: {done}", flush=True)
    return reasons, answers, most


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["GENRE_CACHE_DIR"] = cache
        counted, answered, memory = fuzz(options.count, options.seed)
    for title, table in (("audit", counted), ("recognize", answered)):
        print(f"\n{title}: {table.total()} files")
        for reason, times in table.most_common():
            print(f"{times:6}  {reason}")
    minutes = (time.monotonic() - begin) / 60
    print(f"\nNo crash, no hang; {memory:.2f} GiB at most, {minutes:.0f} minutes")
