"""What notebooks 01 and 02 conclude about a corpus and its features."""

import pandas as pd


def prepared(described: dict, tracks: pd.DataFrame) -> str:
    """Conclude the preparation of a corpus: what is ready, what was excluded, what to beware of.

    Parameters
    ----------
    described : dict
        From `data.describe`.
    tracks : pd.DataFrame
        All that were audited: genre, artist, status.
    """
    used = tracks[tracks["status"] == "used"]
    known = used.loc[~used["artist"].str.startswith("unknown:"), "artist"].nunique()
    folds = f"{described['folds']} fold{'s' if described['folds'] > 1 else ''}"
    warnings = described["warnings"] or ["No warnings about this corpus."]
    listed = "\n".join(f"- {warning}" for warning in warnings)
    return (
        f"{len(used)} tracks by {known} known artists in {len(described['genres'])} genres are "
        f"ready, {len(tracks) - len(used)} were excluded, and every {described['group_by']} is on "
        f"one side of each split, in {folds}.\n\n{listed}\n\nNext: **02_feature_extraction**."
    )


def artist_clusters(table: pd.DataFrame) -> str:
    """Say whether clusters follow artists beyond their genre.

    Parameters
    ----------
    table : pd.DataFrame
        From `features.cluster_agreement`.
    """
    by_artist = table[table["compared with"] == "artist"]
    if by_artist.empty:
        return "No artist of this corpus has two tracks, so that clusters cannot follow artists."
    found = by_artist.loc[by_artist["p_value"] < 0.05, "method"]
    which = {0: "No method finds", len(by_artist): "Both methods find"}
    which = which.get(len(found), f"Only {', '.join(found)} finds")
    return f"{which} artists better than their genre explains (p < 0.05), without any label."


def price_of_leakage(price: dict) -> str:
    """Say what knowing the same recording, or the same artist, is worth to a classifier.

    Parameters
    ----------
    price : dict
        From `evaluation.leakage`, with all three splits.
    """
    pairs = {(pair["a"], pair["b"]): pair for pair in price["pairwise"]}
    whole, recording, artist = (
        f"{round(100 * pairs[pair]['difference'])}"
        + ("" if pairs[pair]["separable"] else " (not significantly different from 0)")
        for pair in (("segment", "artist"), ("segment", "track"), ("track", "artist"))
    )
    return (
        f"On a random split, {price['segment']:.0%} of excerpts are classified correctly; on the "
        f"artist-disjoint one, {price['artist']:.0%}: a difference of {whole} points. Training on "
        f"the same recording accounts for {recording}, on the same artist for {artist} of them."
    )
