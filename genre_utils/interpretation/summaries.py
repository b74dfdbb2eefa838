"""What maps of many excerpts have in common: by genre, by frequency and by time.

Worth is a share, since evidence differs in size: a mean over the sum of the absolute means.
"""

import itertools

import librosa
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from genre_utils.evaluation import intervals, scoring

SMOOTH = 1.0  # frames and bands (standard deviation) that `filtered` blurs a map by


def mel_boundaries(mels: int, sr: float) -> np.ndarray | None:
    """Compute the frequencies between neighbouring mel bands.

    Parameters
    ----------
    mels : int
        How many bands there are, from 0 to half the sample rate.
    sr : float
        Sample rate in Hz that the bands were made at; 0 if it is not known.

    Returns
    -------
    np.ndarray, shape (mels + 1,), or None
        In Hz; None if the sample rate is not known.

    Examples
    --------
    >>> mel_boundaries(4, 8000).round().tolist()
    [0.0, 703.0, 1229.0, 1994.0, 4000.0]
    """
    if not sr:
        return None
    edges = librosa.mel_frequencies(mels + 2, fmin=0.0, fmax=sr / 2)  # bands overlap by half
    return np.concatenate([[0.0], (edges[1:-2] + edges[2:-1]) / 2, [sr / 2]])


def parts_of(size: int, count: int) -> list[np.ndarray]:
    """Masks of about equal parts of an axis, bool (size,); no more of them than it has places."""
    owner = np.arange(size) * min(count, size) // size
    return [owner == part for part in range(min(count, size))]


def _part_names(masks, boundaries):
    """Names of parts of the mel axis, in Hz to two digits where that is known."""
    ends = [*(int(mask.argmax()) for mask in masks), len(masks[0])]
    pairs = itertools.pairwise(ends)
    if boundaries is None:
        return [f"bands {a + 1} to {b}" if b > a + 1 else f"band {b}" for a, b in pairs]
    named = [f"{float(f'{boundaries[end]:.2g}'):,.0f}" for end in ends]
    return [f"{low} to {high} Hz" for low, high in itertools.pairwise(named)]


def shares(maps: dict, data, along: str, *, boundaries=None, seed: int = 0) -> pd.DataFrame:
    """Compute what each part of the input is worth, as shares of the evidence for a genre.

    Parameters
    ----------
    maps, data : dict of str to Maps, models.Data
        From `attributions`, by network, and the excerpts that they are of.
    along : {"bands", "regions", "moments"}
        Mel bands and regions of them by integrated gradients, or moments by hiding them.
    boundaries : np.ndarray, shape (mels + 1,), or None
        Frequencies between the bands in Hz, to name regions by.
    seed : int
        Of the bootstrap over artists.

    Returns
    -------
    pd.DataFrame
        Columns network, genre ("all" for moments), part (from 0), share, low, high (95 %); for
        bands and regions level, less the mean of the genres; for regions also name, and the share
        by hiding: lost, lost_low, lost_high.
    """
    tables = []
    for network, own in maps.items():
        by_genre = own.genre, own.group, data.genres, seed
        bands = own.gradients.sum(axis=1)
        level = _levels(data.excerpts[own.rows], own.genre, len(data.genres))
        if along == "moments":
            table = _shares(own.moments, 0 * own.genre, own.group, ["all"], seed)
        elif along == "bands":
            table = _shares(bands, *by_genre)
        else:
            masks = parts_of(bands.shape[1], own.regions.shape[1])
            member = np.stack(masks, axis=1).astype(float)
            level = level @ member / member.sum(axis=0)
            table = _shares(bands @ member, *by_genre)
            lost = _shares(own.regions, *by_genre).drop(columns=["part", "genre"])
            table = table.join(lost.set_axis(["lost", "lost_low", "lost_high"], axis=1))
            table["name"] = np.array(_part_names(masks, boundaries), object)[table["part"]]
        if along != "moments":
            table["level"] = level[table["genre"].map(data.genres.index), table["part"]]
        tables.append(table.assign(network=network))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _levels(excerpts, y, genres):
    """Mean level of each mel band in each genre, less the mean over genres, (genres, mels)."""
    spectra = pd.DataFrame(excerpts.mean(axis=1, dtype=float))
    own = spectra.groupby(y).mean().reindex(range(genres)).to_numpy()
    return own - np.nanmean(own, axis=0)


def _shares(values, y, groups, genres, seed):
    """Mean of each column, (excerpts, parts), in each genre as shares with 95 % intervals."""
    tables = []
    for k, genre in enumerate(genres):
        if (y == k).any():
            share = _share(values[y == k].mean(axis=0))
            drawn = intervals.resampled_means(values[y == k], groups[y == k], seed=seed)
            low, high = intervals.interval(_share(drawn))
            table = pd.DataFrame({"share": share, "low": low, "high": high})
            tables.append(table.rename_axis("part").reset_index().assign(genre=genre))
    return pd.concat(tables, ignore_index=True)


def _share(means):
    """Means over the sum of their absolute values along the last axis."""
    whole = abs(means).sum(axis=-1, keepdims=True)
    return means / np.where(whole > 0, whole, 1)


def strongest(regions: pd.DataFrame) -> pd.DataFrame:
    """Find the region of the mel axis that speaks most for each genre, to each network.

    Parameters
    ----------
    regions : pd.DataFrame
        From `shares`.

    Returns
    -------
    pd.DataFrame
        The row of `regions` for each network and genre; all NaN where no region has both 95 %
        intervals above 0: that of the integrated gradients, and that of hiding it.
    """
    sure = regions[(regions["low"] > 0) & (regions["lost_low"] > 0)]
    best = sure.loc[sure.groupby(["network", "genre"])["share"].idxmax()]
    genres, networks = (regions[[name]].drop_duplicates() for name in ("genre", "network"))
    every = genres.merge(networks, how="cross")
    return every.merge(best, on=["network", "genre"], how="left")


def extremes(predictions: pd.DataFrame, genres: list[str]) -> pd.DataFrame:
    """Find the excerpts that a model finds most and least typical of each genre, out of fold.

    Parameters
    ----------
    predictions : pd.DataFrame
        Of one model (see `StudyFolder.predictions`).
    genres : list of str
        To show, in their order.

    Returns
    -------
    pd.DataFrame
        Columns genre, kind (most or least typical), track_id, excerpt, probability, predicted.
    """
    rows = scoring.most_probable(predictions).sort_values(["track_id", "excerpt"])
    found = []
    for genre in (genre for genre in genres if (rows["y_true"] == genre).any()):
        own = rows[rows["y_true"] == genre].rename(columns={f"p_{genre}": "probability"})
        for kind, which in (("most typical", "idxmax"), ("least typical", "idxmin")):
            found.append(own.loc[[own["probability"].agg(which)]].assign(kind=kind))
    table = pd.concat(found, ignore_index=True)
    table = table.rename(columns={"y_true": "genre", "y_pred": "predicted"})
    return table[["genre", "kind", "track_id", "excerpt", "probability", "predicted"]]


def filtered(y: np.ndarray, weights: np.ndarray, sr: int, hop_length: int) -> np.ndarray:
    """Let through of a sound what a map points to, so that it can be heard.

    Parameters
    ----------
    y : np.ndarray, shape (n,)
        The excerpt, whose first sample is in the middle of the map's first frame.
    weights : np.ndarray, shape (frames, mels)
        What of a map is to be heard; negative values count as 0, and the highest pass whole.
    sr, hop_length : int
        Sample rate in Hz, and samples per frame of the map.

    Returns
    -------
    np.ndarray, shape (n,)
        The sound.
    """
    n_fft = 2 * hop_length
    spectrum = librosa.stft(y, n_fft=n_fft, hop_length=hop_length)
    smooth = gaussian_filter(np.maximum(weights, 0), SMOOTH)
    gain = np.sqrt(np.clip(smooth / (np.quantile(smooth, 0.99) or 1.0), 0, 1))
    centres = librosa.mel_frequencies(weights.shape[1] + 2, fmin=0.0, fmax=sr / 2)[1:-1]
    hertz = librosa.fft_frequencies(sr=sr, n_fft=n_fft)
    by_bin = np.stack([np.interp(hertz, centres, row) for row in gain], axis=1)
    frames = min(by_bin.shape[1], spectrum.shape[1])
    passed = spectrum[:, :frames] * by_bin[:, :frames]
    return librosa.istft(passed, hop_length=hop_length, n_fft=n_fft, length=len(y))
