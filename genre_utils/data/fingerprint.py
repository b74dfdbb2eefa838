"""Near-duplicates by landmarks (Wang 2003, An industrial-strength audio search algorithm)."""

import numpy as np
import pandas as pd
from scipy import fft, ndimage
from tqdm import tqdm

LONGEST = 120.0  # seconds of a recording that are fingerprinted, from its start
WINDOW = 0.08  # seconds: bins lie 12.5 Hz apart at every sample rate, so that rates compare
HOP = 0.02  # seconds from frame to frame
LOWEST, HIGHEST = 150.0, 4000.0  # Hz: what every bit rate and bandwidth keeps
FLOOR = 1e-3  # of the loudest peak: a peak under it (-60 dB) is no landmark
REACH = (12, 12)  # frames and bins around a peak in which nothing is louder
ZONE = (3, 63)  # frames from a peak to its partner
SPREAD = 63  # bins from a peak to its partner
PARTNERS = 5  # of each peak: the next ones in its zone
REPEATS = 20  # of a name in one recording: more often, as in a loop, it tells nothing of the time
MIN_LANDMARKS = 50  # that agree on one shift, and
MIN_SHARE = 0.06  # of those in the overlap. Copies have over 120 and 0.11; others up to 68 and 0.03
MEL_SHARE = 0.12  # of log-mel images. Copies with the same start have over 0.4; others up to 0.05
CANDIDATE = 12  # votes, landmarks of the index that agree: so many are counted in full
INDEX = 30_000_000  # landmarks that are indexed at most; of more, an equal share of all names
BUDGET = 150_000_000  # votes that are counted, those of the rarest names
BLOCK = 4_000_000  # votes counted at a time, which bounds the memory
_CLIPS, _TIMES = 20, 13  # bits of a clip's number and of a time in the packed index


def of_audio(y: np.ndarray, sr: int) -> np.ndarray:
    """Name and time (in frames of 20 ms) of each landmark of a waveform's first two minutes."""
    image = _spectrogram(np.asarray(y[: round(LONGEST * sr)], dtype=np.float32), sr)
    return _landmarks(image, floor=FLOOR * image.max(initial=0.0))


def _spectrogram(y, sr):
    """Magnitudes from LOWEST to HIGHEST, (frames, bins), with frames every HOP at any rate."""
    size = round(WINDOW * sr)
    low, high = round(LOWEST * WINDOW), round(HIGHEST * WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(y, size) if len(y) >= size else y[:0, None]
    count = int((len(frames) - 1) / (HOP * sr)) + 1 if len(frames) else 0
    starts = np.round(np.arange(count) * HOP * sr).astype(int)  # HOP need not be whole samples
    window = np.hanning(size + 1)[:-1].astype(np.float32)  # periodic, without scipy.signal
    image = np.zeros((count, high - low), dtype=np.float32)
    for first in range(0, count, 256):
        rows = slice(first, first + 256)
        spectrum = np.abs(fft.rfft(frames[starts[rows]] * window, axis=1)[:, low:high])
        image[rows, : spectrum.shape[1]] = spectrum  # a low rate has no bins at the top
    return image


def of_log_mel(image: np.ndarray) -> np.ndarray:
    """Fingerprint of a log-mel image (frames, up to 128 bins) of some ten frames a second."""
    image = np.asarray(image[: 1 << _TIMES], dtype=np.float32)
    return _landmarks(image, floor=np.median(image), reach=(3, 4), zone=(1, 31), partners=3)


def _landmarks(image, *, floor, reach=REACH, zone=ZONE, partners=PARTNERS):
    """Names (bin, step in bins, step in frames) and frames of the pairs of peaks above `floor`."""
    size = [2 * n + 1 for n in reach]
    loudest = ndimage.maximum_filter(image, size=size, mode="constant", cval=-np.inf)
    t, f = np.nonzero((image == loudest) & (image > floor))
    found, joined = [np.empty((0, 2), np.int32)], np.zeros(len(t), dtype=int)
    for step in range(1, len(t)):
        dt, df = t[step:] - t[:-step], f[step:] - f[:-step]
        if dt.min() > zone[1]:
            break
        near = (dt >= zone[0]) & (dt <= zone[1]) & (np.abs(df) <= SPREAD)
        near &= joined[:-step] < partners
        joined[:-step] += near
        names = f[:-step] << 13 | (df + SPREAD) << 6 | dt
        found.append(np.stack([names[near], t[:-step][near]], axis=1).astype(np.int32))
    pairs = np.concatenate(found)
    _, which, count = np.unique(pairs[:, 0], return_inverse=True, return_counts=True)
    return pairs[count[which] <= REPEATS]


def compare(one: np.ndarray, two: np.ndarray) -> tuple[int, float, int]:
    """Most landmarks that agree on one shift, their share of the overlap, the shift in frames."""
    names, times = two[np.argsort(two[:, 0], kind="stable")].T
    start, end = (np.searchsorted(names, one[:, 0], side) for side in ("left", "right"))
    which = np.repeat(np.arange(len(one)), end - start)
    partner = np.arange(len(which)) - np.repeat(np.cumsum(end - start) - end, end - start)
    shifts = times[partner] - one[which, 1]
    if not len(shifts):
        return 0, 0.0, 0
    lowest = int(shifts.min()) - 1
    counts = np.bincount(shifts - lowest, minlength=int(shifts.max()) - lowest + 2)
    votes = np.convolve(counts, [1, 1, 1], mode="same")
    best = int((votes + counts / (counts.max() + 1)).argmax())  # of equal ones, the one between
    shift = best + lowest
    first, second = one[:, 1], two[:, 1] - shift
    begin, finish = max(first.min(), second.min()), min(first.max(), second.max())
    fewest = min(np.sum((begin <= t) & (t <= finish)) for t in (first, second))
    return int(votes[best]), min(1.0, float(votes[best] / max(1, fewest))), shift


def are_copies(landmarks: int, share: float, least: float = MIN_SHARE) -> bool:
    """Whether what `compare` found makes two recordings copies."""
    return landmarks >= MIN_LANDMARKS and share >= least


def links(fingerprints: list[np.ndarray], *, least: float = MIN_SHARE) -> pd.DataFrame:
    """Pairs of recordings that share a stretch of sound: as many as tie each group of copies.

    Equal names in two recordings vote for the shift in time between them; a pair whose best shift
    has enough votes is compared in full. The rarest names vote first, up to `BUDGET` votes.
    """
    from scipy.cluster.hierarchy import DisjointSet  # slow to import: not in every worker

    groups = DisjointSet(range(len(fingerprints)))
    rows = []
    for first, second in _candidates(fingerprints):
        if not groups.connected(first, second):
            landmarks, share, shift = compare(fingerprints[first], fingerprints[second])
            if are_copies(landmarks, share, least):
                groups.merge(first, second)
                rows.append((first, second, landmarks, share, shift))
    return pd.DataFrame(rows, columns=["first", "second", "landmarks", "share", "shift"])


def _candidates(fingerprints):
    """Pairs of recordings with enough votes for one shift, those with the most first."""
    index = _index(fingerprints)
    following = _following(index >> (_CLIPS + _TIMES))
    clip = (index >> _TIMES & (1 << _CLIPS) - 1).astype(np.int32)
    time = (index & (1 << _TIMES) - 1).astype(np.int32)
    del index
    votes = np.bincount(clip, weights=following, minlength=len(fingerprints))
    block = (np.cumsum(votes) // BLOCK).astype(int)  # recordings whose votes are counted together
    numbers = np.unique(block[votes > 0])
    found = [np.empty((0, 2), dtype=np.int64)]
    for number in tqdm(numbers, desc="near-duplicates", unit="block", disable=len(numbers) < 5):
        rows = np.flatnonzero((block == number)[clip] & (following > 0))
        found.append(_count_votes(clip, time, rows, following[rows]))
    pairs, most = np.concatenate(found).T
    pairs = pairs[np.argsort(-most, kind="stable")]
    return np.stack([pairs >> _CLIPS, pairs & (1 << _CLIPS) - 1], axis=1).tolist()


def _index(fingerprints):
    """Landmarks as one sorted array of name, recording and time, packed into 64 bits."""
    if len(fingerprints) >> _CLIPS:
        raise ValueError(f"over {1 << _CLIPS:,} recordings cannot be compared at once.")
    parts = -(-sum(map(len, fingerprints)) // INDEX)  # one part of all names is indexed
    packed = [np.empty(0, np.int64)]
    for number, print_ in enumerate(fingerprints):
        name, time = print_.T.astype(np.int64)
        chosen = (name * 2_654_435_761 >> 16) % max(1, parts) == 0  # Knuth's multiplicative hash
        packed.append((name << (_CLIPS + _TIMES) | number << _TIMES | time)[chosen])
    index = np.concatenate(packed)
    index.sort()
    return index


def _following(names):
    """Landmarks of the same name after each one; none for the names that are over the budget."""
    start = np.flatnonzero(np.diff(names, prepend=-1))
    size = np.diff(start, append=len(names))
    order = np.argsort(size, kind="stable")
    affordable = np.zeros(len(size), dtype=bool)
    affordable[order] = np.cumsum(size[order] * (size[order] - 1) // 2) <= BUDGET
    following = np.repeat(start + size, size) - np.arange(len(names)) - 1
    return np.where(np.repeat(affordable, size), following, 0)


def _count_votes(clip, time, rows, counts):
    """Packed pairs of recordings, and the votes for the best shift of each."""
    first = np.repeat(rows, counts)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    other = clip[first] != clip[second]
    first, second = first[other], second[other]
    shift = time[second] - time[first] + (1 << _TIMES)  # never negative
    pair = clip[first].astype(np.int64) << _CLIPS | clip[second]
    key, votes = np.unique(pair << (_TIMES + 2) | shift, return_counts=True)
    total = votes.copy()  # with those of the neighbouring frames: a shift is no whole frames
    neighbour = np.flatnonzero(np.diff(key) == 1)
    total[neighbour] += votes[neighbour + 1]
    total[neighbour + 1] += votes[neighbour]
    enough = total >= CANDIDATE
    pair, inverse = np.unique(key[enough] >> (_TIMES + 2), return_inverse=True)
    most = np.zeros(len(pair), dtype=np.int64)
    np.maximum.at(most, inverse, total[enough])
    return np.stack([pair, most], axis=1)
