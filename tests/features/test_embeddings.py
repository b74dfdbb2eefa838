"""What musicnn hears in clips: heard once, kept by content, refused where a file has changed."""

import numpy as np
import pandas as pd
import pytest
from conftest import write_sound

from genre_utils.features import embeddings, store
from genre_utils.workspace import files
from small_study import statistics_fixture  # noqa: F401

RECIPE = {"clip_seconds": 9.0, "excerpt_seconds": 3.0, "loudness": "none"}


@pytest.fixture
def recorded(study, tmp_path):
    """Two tracks of sound of the study `study`, one shorter than a patch."""
    rows = []
    for seed, seconds in enumerate((7.0, 1.5)):
        path = write_sound(tmp_path / "music" / f"{seed}.wav", seed, seconds=seconds)
        rows.append((f"t{seed}", path.name, files.file_md5(path), "used"))
    tracks = pd.DataFrame(rows, columns=["track_id", "path", "md5", "status"])
    described = {"sha256": "0", "recipe": RECIPE, "frames_per_second": 21.5}
    study.write(tracks=tracks, features=described, source={"folder": str(tmp_path / "music")})
    return study


def test_clips_are_heard_once_and_kept_by_content(recorded, monkeypatch):
    table = embeddings.embed_tracks(recorded, n_jobs=1)
    assert table[["track_id", "patch"]].to_numpy().tolist() == [["t0", 0], ["t0", 1], ["t1", 0]]
    values = np.array(recorded.embedded)
    assert (
        values.shape == (3, 1706) and np.isfinite(values).all() and (values.std(axis=1) > 0).all()
    )
    monkeypatch.setattr(embeddings, "_heard", lambda *_, **__: pytest.fail("heard again"))
    recorded.place("embeddings").unlink()
    again = embeddings.embed_tracks(recorded, n_jobs=1)
    pd.testing.assert_frame_equal(again, table)
    np.testing.assert_array_equal(recorded.embedded, values)
    monkeypatch.setattr(embeddings, "_cached", lambda *_: pytest.fail("read again"))
    pd.testing.assert_frame_equal(embeddings.embed_tracks(recorded, n_jobs=1), table)


def test_fewer_patches_are_others_and_a_changed_file_is_refused(recorded, tmp_path):
    table = embeddings.embed_tracks(recorded, how_many=1, n_jobs=1)
    assert list(table["track_id"]) == ["t0", "t1"] and 1.5 < table["start"][0] < 2.5
    write_sound(tmp_path / "music" / "0.wav", 5, seconds=7.0)
    with pytest.raises(store.ChangedFileError, match="t0"):
        embeddings.embed_tracks(recorded, how_many=2, n_jobs=1)
