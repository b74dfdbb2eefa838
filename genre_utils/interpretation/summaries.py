"""What maps of many excerpts have in common: by genre, by frequency and by time.

Evidence of different networks differs in size, as some are surer than others. What a part of the
input is worth is therefore given as a share: its mean over the mean of all parts, each taken as an
absolute value. Negative shares speak against the genre.
"""

import itertools

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from genre_utils.evaluation import intervals, resampling, scoring

SMOOTH = 1.0  # frames and bands (standard deviation) that `filtered` blurs a map by


# ---------------------------------------------------------------------------- the frequency axis


def mel_boundaries(mels: int, sr: float) -> np.ndarray | None:
    """Frequencies between neighbouring mel bands, Hz, (mels + 1,): from 0 to half the sample rate.

    Parameters
    ----------
    mels : int
    sr : float
        Sample rate in Hz that the bands were made at; 0 if it is not known, which gives None.
    """
    if not sr:
        return None
    import librosa

    edges = librosa.mel_frequencies(mels + 2, fmin=0.0, fmax=sr / 2)  # bands overlap by half
    return np.concatenate([[0.0], (edges[1:-2] + edges[2:-1]) / 2, [sr / 2]])


def part_names(owner: np.ndarray, boundaries: np.ndarray | None) -> list[str]:
    """Names of parts of the mel axis, in Hz where that is known.

    Parameters
    ----------
    owner : np.ndarray of int, shape (mels,)
        Part that each band belongs to, from the lowest.
    boundaries : np.ndarray, shape (mels + 1,), or None
        From `mel_boundaries`.
    """
    ends = np.append(np.flatnonzero(np.diff(owner, prepend=-1)), len(owner))
    pairs = itertools.pairwise(ends)
    if boundaries is None:
        return [f"bands {a + 1} to {b}" if b > a + 1 else f"band {b}" for a, b in pairs]
    return [f"{_hertz(boundaries[a])} to {_hertz(boundaries[b])} Hz" for a, b in pairs]


def _hertz(frequency):
    """Two digits of a frequency: neighbouring parts differ by more."""
    return f"{float(f'{frequency:.2g}'):,.0f}"


# ---------------------------------------------------------------------------- many excerpts


def shares(values, y, groups, genres, *, seed: int = 0) -> pd.DataFrame:
    """Mean attribution of each part of the input in each genre, as shares, with 95 % intervals.

    Parameters
    ----------
    values : np.ndarray, shape (n, parts)
        What each part of an excerpt adds to the evidence for its genre.
    y, groups : np.ndarray of int, shape (n,)
        Genre and artist component of each excerpt.
    genres : list of str
    seed : int

    Returns
    -------
    pd.DataFrame
        genre, part (from 0), share, low, high; the limits are NaN for a genre of one artist.
    """
    tables = []
    for k, genre in enumerate(genres):
        if (y == k).any():
            share = _share(values[y == k].mean(axis=0))
            drawn = resampling.resampled_means(values[y == k], groups[y == k], seed=seed)
            limits = np.full((2, len(share)), np.nan)
            if drawn is not None:
                limits = intervals.interval(_share(drawn))
            table = pd.DataFrame({"share": share, "low": limits[0], "high": limits[1]})
            tables.append(table.rename_axis("part").reset_index().assign(genre=genre))
    return pd.concat(tables, ignore_index=True)


def _share(means):
    """Means over the sum of their absolute values along the last axis."""
    whole = abs(means).sum(axis=-1, keepdims=True)
    return means / np.where(whole > 0, whole, 1)


def levels(excerpts: np.ndarray, y, genres) -> np.ndarray:
    """Mean level of each mel band in each genre, less the mean over genres: (genres, mels).

    NaN for a genre without an excerpt.
    """
    spectra = excerpts.mean(axis=1, dtype=float)
    own = [spectra[y == k].mean(axis=0) if (y == k).any() else 0 * spectra[0] + np.nan
           for k in range(len(genres))]  # fmt: skip
    return np.array(own) - np.nanmean(own, axis=0)


def region_table(maps, y, groups, genres, owner, level, *, seed: int = 0) -> pd.DataFrame:
    """What each part of the mel axis is worth to a network, by both ways of asking.

    Parameters
    ----------
    maps : interpretation.Maps
    y, groups : np.ndarray of int, shape (n,)
    genres : list of str
    owner : np.ndarray of int, shape (mels,)
        Part that each band belongs to.
    level : np.ndarray, shape (genres, mels)
        From `levels`.

    Returns
    -------
    pd.DataFrame
        genre, part, share, low, high (of the integrated gradients), lost, lost_low, lost_high (of
        the evidence that hiding the part takes away), level (mean over the part's bands).
    """
    member = (owner[:, np.newaxis] == np.arange(owner.max() + 1)).astype(float)
    summed = maps.gradients.sum(axis=1) @ member
    table = shares(summed, y, groups, genres, seed=seed)
    lost = shares(maps.regions, y, groups, genres, seed=seed)
    names = {"share": "lost", "low": "lost_low", "high": "lost_high"}
    table = table.merge(lost.rename(columns=names), on=["genre", "part"])
    mean = level @ member / member.sum(axis=0)
    places = table["genre"].map(genres.index), table["part"]
    return table.assign(level=mean[places])


def strongest(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Part of the mel axis that speaks most for each genre, to each network.

    Parameters
    ----------
    tables : dict of str to pd.DataFrame
        From `region_table`, by network.

    Returns
    -------
    pd.DataFrame
        network, and a row of `region_table` for each genre; `part` is NaN where no part speaks for
        the genre reliably, that is, where no part has both 95 % intervals above 0: that of the
        integrated gradients, and that of what hiding it takes away.
    """
    found = []
    for name, table in tables.items():
        sure = table[(table["low"] > 0) & (table["lost_low"] > 0)]
        best = sure.loc[sure.groupby("genre")["share"].idxmax()]
        rows = table[["genre"]].drop_duplicates().merge(best, on="genre", how="left")
        found.append(rows.assign(network=name))
    return pd.concat(found, ignore_index=True)


def moment_table(maps, groups, *, seed: int = 0) -> pd.DataFrame:
    """What each part of an excerpt's time is worth to a network, over all genres.

    Returns
    -------
    pd.DataFrame
        part, share, low, high: of the evidence that hiding the part takes away.
    """
    everything = np.zeros(len(groups), dtype=int)
    return shares(maps.moments, everything, groups, ["all"], seed=seed).drop(columns="genre")


def extremes(predictions: pd.DataFrame, genres) -> pd.DataFrame:
    """The excerpts that a model finds most and least typical of each genre, out of fold.

    Parameters
    ----------
    predictions : pd.DataFrame
        Content of ``predictions/NAME.parquet``.
    genres : list of str

    Returns
    -------
    pd.DataFrame
        genre, kind ("most typical", "least typical"), track_id, excerpt, probability (of the
        genre) and heard_as (the most probable genre).
    """
    rows = scoring.most_probable(predictions).sort_values(["track_id", "excerpt"])
    found = []
    for genre in genres:
        own = rows[rows["y_true"] == genre]
        chosen = {"most typical": "idxmax", "least typical": "idxmin"} if len(own) else {}
        for kind, which in chosen.items():
            row = own.loc[getattr(own[f"p_{genre}"], which)()]
            found.append((genre, kind, row["track_id"], row["excerpt"], row[f"p_{genre}"],
                          row["y_pred"]))  # fmt: skip
    names = ["genre", "kind", "track_id", "excerpt", "probability", "heard_as"]
    return pd.DataFrame(found, columns=names)


def importance(answers: pd.DataFrame, groups: pd.Series, *, seed: int = 0) -> pd.DataFrame:
    """Accuracy of whole tracks that is lost when a family of features is exchanged.

    Parameters
    ----------
    answers : pd.DataFrame
        From `permutation.exchange_families`.
    groups : pd.Series
        Group (artist component) of each track_id.

    Returns
    -------
    pd.DataFrame
        model, family, accuracy (with nothing exchanged), drop, low, high (95 %, bootstrap over
        artists); families by their mean drop over the models, the largest first.
    """
    tables = []
    for model, rows in answers.groupby("model", sort=False):
        found = rows.drop(columns=["model", "track_id"]).dropna(axis=1, how="all")
        drops = found[["all"]].to_numpy() - found.drop(columns="all")
        of = rows["track_id"].map(groups).to_numpy()
        mean, low, high = resampling.group_mean(drops, of, seed=seed)
        table = pd.DataFrame({"family": drops.columns, "drop": mean, "low": low, "high": high})
        tables.append(table.assign(model=model, accuracy=found["all"].mean()))
    table = pd.concat(tables, ignore_index=True)
    order = table.groupby("family")["drop"].mean().sort_values(ascending=False, kind="stable").index
    table["family"] = pd.Categorical(table["family"], order)
    table = table.sort_values(["model", "family"], kind="stable", ignore_index=True)
    return table.astype({"family": str})


# ---------------------------------------------------------------------------- to be heard


def filtered(y: np.ndarray, weights: np.ndarray, sr: int, hop_length: int) -> np.ndarray:
    """Let through of a sound what a map points to, so that it can be heard.

    Parameters
    ----------
    y : np.ndarray, shape (n,)
        The excerpt, whose first sample is in the middle of the map's first frame.
    weights : np.ndarray, shape (frames, mels)
        What of a map is to be heard; negative values count as 0, and the highest pass whole.
    sr, hop_length : int
        Sample rate in Hz and samples per frame of the map.

    Returns
    -------
    np.ndarray, shape (n,)
    """
    import librosa

    n_fft = 2 * hop_length
    spectrum = librosa.stft(y, n_fft=n_fft, hop_length=hop_length)
    smooth = gaussian_filter(np.maximum(weights, 0), SMOOTH)
    gain = np.sqrt(np.clip(smooth / (np.quantile(smooth, 0.99) or 1.0), 0, 1))
    centres = librosa.mel_frequencies(weights.shape[1] + 2, fmin=0.0, fmax=sr / 2)[1:-1]
    hertz = librosa.fft_frequencies(sr=sr, n_fft=n_fft)
    by_bin = np.stack([np.interp(hertz, centres, row) for row in gain], axis=1)
    frames = min(by_bin.shape[1], spectrum.shape[1])
    return librosa.istft(
        spectrum[:, :frames] * by_bin[:, :frames], hop_length=hop_length, n_fft=n_fft, length=len(y)
    )
