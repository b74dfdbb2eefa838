"""What files are called, and which count as by or on the same."""

import mutagen
import pandas as pd
import pytest
from conftest import write_sound

from genre_utils.data import songs, track_lists


def tagged(path, **named):
    write_sound(path, seconds=1.0)
    file = mutagen.File(path)
    file.update({name: [text] for name, text in named.items()})
    file.save()
    return str(path)


def test_a_list_in_the_folder_counts_before_tags(tmp_path):
    music = tmp_path / "music"
    paths = [tagged(music / f"{n}.flac", artist="By Tag", title=f"T{n}") for n in range(3)]
    outside = tagged(tmp_path / "0.flac", artist="Elsewhere")
    told = songs.told([outside, *paths], str(music), paths)
    assert list(told["artist"]) == ["Elsewhere"] + 3 * ["By Tag"]
    assert list(told["title"]) == ["", "T0", "T1", "T2"]
    assert list(told["path"]) == [outside, *paths] and set(told["seconds"]) == {1}
    (music / "tracks.csv").write_text("path,artist\n0.flac,Listed\n2.flac,unknown\n")
    told = songs.told([outside, *paths], str(music), paths)
    assert list(told["artist"]) == ["Elsewhere", "Listed", "By Tag", "By Tag"]
    (music / "tracks.csv").write_text("path,title\n0.flac,Listed\n")
    assert songs.told(paths, str(music), paths)["artist"].eq("By Tag").all()
    (music / "tracks.csv").write_text("artist\nNobody\n")
    with pytest.raises(track_lists.CorpusError, match="lacks the column path"):
        songs.told(paths, str(music), paths)


def test_unknown_artists_and_albums_are_each_their_own():
    rows = [
        ("a/1.mp3", "Queen", "Greatest Hits"),
        ("b/1.mp3", "Abba", "Greatest Hits"),
        ("b/2.mp3", "Guest", "Greatest Hits"),
        ("c/1.mp3", "Queen & David Bowie", ""),
        ("c/2.mp3", "", ""),
        ("c/3.mp3", "", ""),
    ]
    artist, album = songs.labels(pd.DataFrame(rows, columns=["path", "artist", "album"])).T
    assert artist[0] == artist[3] and len(set(artist)) == 5
    assert album[1] == album[2] and len(set(album)) == 5
