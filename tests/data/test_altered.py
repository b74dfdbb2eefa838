"""What was made and kept is made again when it was altered."""

import numpy as np

from genre_utils.data import auditing, fingerprint
from genre_utils.data.composer import collection


def test_a_fingerprint_that_was_altered_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path))
    y = np.random.default_rng(0).normal(size=22_050 * 3).astype(np.float32)
    made = auditing._fingerprint([y], 22_050, "0" * 32)
    (path,) = tmp_path.rglob("[!.]*.npy")
    np.save(path, made[::2])
    np.testing.assert_array_equal(auditing._fingerprint([y], 22_050, "0" * 32), made)
    np.testing.assert_array_equal(np.load(path), fingerprint.of_audio(y, 22_050))


def test_composed_music_that_was_altered_is_composed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path))
    settings = {"artists_per_genre": 3, "tracks_per_artist": 1, "seconds": 1.0, "seed": 0}
    folder = collection.compose_corpus(genres=["rock"], **settings)
    before = {path.name: path.read_bytes() for path in folder.glob("*/*.flac")}
    for name in ("tracks.csv", "rock/*_01.flac", "corpus.json"):
        path = sorted(folder.glob(name))[0]
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        assert collection.compose_corpus(genres=["rock"], **settings) == folder
        assert path.read_bytes() == content
        assert {path.name: path.read_bytes() for path in folder.glob("*/*.flac")} == before
