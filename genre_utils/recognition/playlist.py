"""Playlists of similar music: near a recording, but not all of one artist or album."""

import io
import os
import sys
from pathlib import Path

import pandas as pd

from genre_utils.data import songs
from genre_utils.data.track_lists import CorpusError
from genre_utils.features import neighbours
from genre_utils.recognition import output, similarity
from genre_utils.workspace import files


def similar(name: str, folder: str, count: int, *, threads: int = 1):
    """Find a playlist for a file in a folder: the file, then `count` others; and those left out.

    A row for each track, as `songs.told` has them. Two on one album, or by artists who recorded
    together, count as fully similar.
    """
    model, query, others, failed = similarity.described(name, folder, threads=threads)
    x = similarity.embedded(model, [query, *others.values()])[1]
    distances, rows = neighbours.nearest(x[1:], x[:1], neighbours.POOL * count)
    paths = list(others)
    try:
        told = songs.told([name, *(paths[row] for row in rows[0])], folder, paths)
    except CorpusError as error:  # of the list of its artists
        raise similarity.SimilarityError(str(error)) from error
    alike = neighbours.similarities(x[1:][rows[0]], songs.labels(told)[1:])
    chosen = neighbours.marginally_relevant(1 - distances[0], alike, count)
    return told.iloc[[0, *(1 + chosen)]], failed


def write(found: pd.DataFrame, place: Path | None) -> None:
    """Write what `similar` found as extended M3U, in UTF-8, into a file or to standard output."""
    folder, text = os.path.dirname(os.path.abspath(place)) if place else "", output.M3U_HEADER
    for song in found.itertuples():
        title = " - ".join(filter(None, [song.artist, song.title or Path(song.path).stem]))
        text += output.m3u_entry(song.path, song.seconds, title, folder)
    if place:
        try:
            files.write_text(place, text)
        except OSError as error:
            why = f"'{place}' cannot be written: {error.strerror}."
            raise similarity.SimilarityError(why) from error
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever the terminal's is
    sys.stdout.write(text)
