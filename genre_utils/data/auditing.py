"""Which files of a corpus can be used: decoded to the end, heard, and compared with all others."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.data import checks, fingerprint, folders
from genre_utils.data.artists import is_unknown
from genre_utils.data.track_lists import CorpusError
from genre_utils.features import decoding, tags
from genre_utils.workspace import evidence, files, parallel


def audit(
    tracks: pd.DataFrame,
    folder: Path,
    *,
    min_seconds: float,
    clip_seconds: float = 0.0,
    n_jobs: int = -1,
) -> pd.DataFrame:
    """Decode every file of a corpus and exclude what cannot be used, with the reason.

    Judged are the whole file and the clip of it that will be used. Artists, titles and albums that
    the corpus does not name are taken from the tags of the files. Of several copies of a recording,
    whatever their encoding, level or start, the first is used, or none if their genres disagree.

    Parameters
    ----------
    tracks : pd.DataFrame
        From `find_tracks`.
    folder : Path
        Folder that the paths are relative to, or that holds ready spectrograms.
    min_seconds, clip_seconds : float
        Shortest usable duration, and that of the clip that is used of each recording, or that a
        ready spectrogram spans, in seconds.
    n_jobs : int
        Processes that decode at the same time; -1 for one per core.

    Returns
    -------
    pd.DataFrame
        `tracks`, ``attrs`` and all, with duration_s, md5, status (``used`` or ``excluded``) and
        reason.
    """
    if (tracks["path"] == "").all():
        log_mel = folders.load_arrays(folder, tracks["track_id"])
        return audit_spectrograms(tracks, log_mel, clip_seconds=clip_seconds)
    listed = tracks[["path", "fault", "artist"]].itertuples(index=False)
    seconds = min_seconds, clip_seconds
    jobs = [(folder / path, seconds, fault, is_unknown(artist)) for path, fault, artist in listed]
    examined = _examined(jobs, folder, n_jobs)
    fingerprints = [row.pop("fingerprint") for row in examined]
    table = tracks.reset_index(drop=True).join(pd.DataFrame(examined))
    table.attrs = tracks.attrs
    for column in ("artist", "title", "album"):
        missing = is_unknown(table["artist"]) if column == "artist" else table[column] == ""
        tagged = missing & (table[f"tagged_{column}"] != "")
        table.loc[tagged, column] = table.loc[tagged, f"tagged_{column}"]
    return _without_copies(table, fingerprints, fingerprint.HOP, fingerprint.MIN_SHARE)


def _examined(jobs, folder, n_jobs):
    """What `_examine_file` finds, job by job; a decoder that crashes takes no other file along."""
    settings = {"desc": "audit", "unit": "file", "folder": folder}
    rows: list[dict] = []
    alone = False
    while len(rows) < len(jobs):
        rest, workers = (jobs[len(rows) :][:1], 2) if alone else (jobs[len(rows) :], n_jobs)
        try:
            for row in parallel.over(_examine_file, rest, len(rest), n_jobs=workers, **settings):
                rows.append(row)
            alone = False
        except BrokenProcessPool:  # by one of the files at work: look at the next one alone
            if alone:
                rows.append(_row(decoding.Examination(0.0, "", "its decoder crashes on this file")))
            alone = not alone
    return rows


def _examine_file(path, seconds, fault, unknown):
    if fault:  # published: no need to decode it
        return _row(decoding.Examination(0.0, "", fault))
    heard: list[np.ndarray] = []
    rates = [0]

    def hear(block, sr):  # the start of the recording, mixed down
        rates[0] = sr
        if sum(map(len, heard)) < fingerprint.LONGEST * sr:
            with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is excluded
                heard.append(decoding.mono(block))

    least, clip = seconds
    result = decoding.examine(path, min_seconds=least, clip_seconds=clip, hear=hear)
    if not result.audio_md5 and result.reason.startswith("cannot be read"):
        return _row(result)
    md5 = files.file_md5(decoding.on_disk(path))
    made = None if result.reason else _fingerprint(heard, rates[0], md5)
    tagged = {"artist": tags.tagged_artist(path) if unknown else ""} | tags.tagged_titles(path)
    return _row(result, md5=md5, fingerprint=made, **tagged)


def _row(examination, *, md5="", fingerprint=None, artist="", title="", album=""):
    tagged = {"tagged_artist": artist, "tagged_title": title, "tagged_album": album}
    return examination._asdict() | {"md5": md5, "fingerprint": fingerprint} | tagged


def _fingerprint(heard, sr, md5):
    version = evidence.code("fingerprint")[:16]
    path = files.cache_folder() / "fingerprints" / version / md5[:2] / f"{md5}.npy"
    if files.is_as_written(path):
        try:
            return np.load(path)
        except (OSError, ValueError, EOFError):
            pass  # not whole, and from before there were checksums: computed below
    made = fingerprint.of_audio(np.concatenate(heard), sr)
    files.keep(path, lambda temporary: np.save(temporary, made))
    return made


def audit_report(
    found: pd.DataFrame,
    tracks: pd.DataFrame,
    *,
    genres: Sequence[str] = (),
    group_by: str = "artist",
    folds: int = 3,
    seed: int = 0,
) -> dict:
    """Give what an audit found as plain data: every file, the totals, and warnings of a study.

    Parameters
    ----------
    found, tracks : pd.DataFrame
        From `find_tracks`, and what `audit` made of it.
    genres, group_by, folds, seed : sequence of str, str, int, int
        Of the study (see `choose_genres` and `check`).

    Returns
    -------
    dict
        ``files`` (of an unknown artist, ``artist`` is None), ``totals``, ``warnings`` and, of a
        ``tracks.csv``, ``list``, ``rows_without_file`` and ``files_not_listed``.
    """
    listed = ~is_unknown(found["artist"]).to_numpy()
    known = ~is_unknown(tracks["artist"])
    used = tracks["status"] == "used"
    columns = ["path", "status", "reason", "duration_s", "genre", "md5"]
    rows = tracks[columns].assign(artist=tracks["artist"].astype(object).where(known, None))
    artists = rows[used].groupby("genre")["artist"]
    counted = artists.agg(tracks="size", artists="nunique", unknown=lambda a: a.isna().sum())
    totals = {
        "files": len(tracks),
        "used": int(used.sum()),
        "excluded": int((~used).sum()),
        "near_duplicates": int(tracks["reason"].str.startswith("near-duplicate").sum()),
        "artist_from_list": int(listed.sum()),
        "artist_from_tags": int((known & ~listed).sum()),
        "artist_unknown": int((~known).sum()),
        "genres": counted.to_dict("index"),
    }
    warnings = _study_warnings(tracks[used], genres, group_by=group_by, folds=folds, seed=seed)
    return {
        "files": rows.to_dict("records"), "totals": totals, "warnings": warnings,
        **{key: tracks.attrs.get(key) for key in ("list", "rows_without_file", "files_not_listed")},
    }  # fmt: skip


def _study_warnings(used, genres, **settings):
    if used.empty:
        return [*used.attrs.get("warnings", []), "No file can be used."]
    try:
        chosen = checks.choose_genres(used, genres)
        return checks.check(used[used["genre"].isin(chosen)], chosen, **settings)
    except CorpusError as error:
        return [*used.attrs.get("warnings", []), f"A study would refuse this: {error}"]


def audit_spectrograms(
    tracks: pd.DataFrame, log_mel: np.ndarray, *, clip_seconds: float
) -> pd.DataFrame:
    """Check every array (frames, mels) of a corpus of ready spectrograms, as `audit` does files."""
    examined = pd.DataFrame([_examine_array(array) for array in log_mel])
    table = tracks.reset_index(drop=True).join(examined).assign(duration_s=float(clip_seconds))
    fingerprints = [fingerprint.of_log_mel(array) for array in log_mel]
    frame = clip_seconds / log_mel.shape[1]
    return _without_copies(table, fingerprints, frame, fingerprint.MEL_SHARE)


def _examine_array(array):
    md5, reason = hashlib.md5(array.tobytes()).hexdigest(), ""
    if not np.isfinite(array).all():
        reason = "holds values that are not finite numbers"
    elif array.max() == array.min():
        reason = "silent: every value is the same"
    return {"audio_md5": md5, "md5": md5, "reason": reason}


def _without_copies(table, fingerprints, step, least):
    """Exclude every later copy of a recording, and all copies when their genres disagree."""
    from scipy.cluster.hierarchy import DisjointSet  # slow to import: not in every worker

    usable = table.index[table["reason"] == ""]
    sounds = table.loc[usable].groupby("audio_md5", sort=False).indices.values()
    sounds = [usable[rows] for rows in sounds]  # those of one sound, sample by sample
    firsts = [rows[0] for rows in sounds]
    links = fingerprint.links([fingerprints[row] for row in firsts], least=least)
    copies = DisjointSet(usable)
    for one, *others in sounds:
        for other in others:
            copies.merge(one, other)
    for link in links.itertuples():
        copies.merge(firsts[link.first], firsts[link.second])
    for group in (sorted(rows) for rows in copies.subsets() if len(rows) > 1):
        genres = list(table.loc[group, "genre"])
        disagree = f" under different genres ({', '.join(genres)})" if len(set(genres)) > 1 else ""
        exact = len(set(table.loc[group, "audio_md5"])) == 1
        for row in group if disagree else group[1:]:
            if exact and disagree:
                original = "duplicate"
            else:
                original = _copied(row, group, table, fingerprints, step, least)
            table.loc[row, "reason"] = original + disagree
    table["status"] = np.where(table["reason"] == "", "used", "excluded")
    columns = ["track_id", "path", "genre", "artist", "duration_s", "md5", "status", "reason"]
    return table[[*columns, "split", *table.columns.intersection(["group", "title", "album"])]]


def _copied(row, group, table, fingerprints, step, least):
    """Say what a recording is a copy of: the same sound, or the first of its group that matches."""
    others = [other for other in group if other != row]
    same = [o for o in others if table.loc[o, "audio_md5"] == table.loc[row, "audio_md5"]]
    if same and same[0] < row:
        return f"duplicate of {table.loc[same[0], 'track_id']}"
    for other in others:
        found = fingerprint.compare(fingerprints[other], fingerprints[row])
        if fingerprint.are_copies(*found[:2], least):
            break
    landmarks, _, shift = found
    return (
        f"near-duplicate of {table.loc[other, 'track_id']} ({landmarks} matching landmarks, "
        f"shifted by {abs(shift) * step:.1f} s)"
    )


def report_lines(report: dict) -> Iterator[str]:
    """Yield an `audit_report` in lines, with names such that no terminal stumbles over them."""
    shown = files.readable
    for file in report["files"]:
        if file["status"] != "used":
            yield f"excluded  '{shown(file['path'])}': {shown(file['reason'])}"
    for genre, count in report["totals"]["genres"].items():
        artists = f"{count['artists']} known artists, {count['unknown']} tracks of unknown ones"
        yield f"used  '{shown(genre)}': {count['tracks']} tracks, {artists}"
    totals = report["totals"]
    yield (
        f"Artists: of {totals['artist_from_list']} files from tracks.csv, of "
        f"{totals['artist_from_tags']} from their tags, of {totals['artist_unknown']} unknown."
    )
    if report["list"]:
        yield f"tracks.csv: {report['list']}"
        yield from (f"no file  '{shown(row)}'" for row in report["rows_without_file"])
        yield from (f"not listed  '{shown(path)}'" for path in report["files_not_listed"])
    for warning in report["warnings"]:
        yield f"Warning: {shown(warning)}"
    yield from filter(None, [report.get("judged")])
    yield (
        f"{totals['used']} of {totals['files']} files would be used, {totals['excluded']} "
        f"excluded, of these {totals['near_duplicates']} as near-duplicates."
    )
