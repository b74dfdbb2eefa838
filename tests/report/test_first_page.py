"""What the first page says, in sentences, is what was found."""

import pandas as pd
import pytest

from genre_utils.report import first_page
from genre_utils.report.sentences import first_page as sentences
from genre_utils.report.sentences import music
from genre_utils.workspace.study_folder import StudyFolder

CORPUS = {"name": "spectrograms", "title": "GTZAN", "synthetic": False, "group_by": "artist"}
CORPUS |= {"protocol": "cv", "folds": 10, "genres": ["rock", "jazz"]}
COUNTS = {"tracks": 249, "artists": 39, "unknown": 16, "groups": 53}


def test_the_protocol_is_one_sentence():
    assert music.protocol(COUNTS, CORPUS) == (
        "GTZAN: 249 tracks of two genres (rock, jazz) by 39 known artists and 16 tracks of unknown "
        "artist (one group each); ten artist-disjoint folds; ready spectrograms, not recordings."
    )
    other = CORPUS | {"name": "folder", "protocol": "fixed", "title": ""}
    said = music.protocol(COUNTS | {"artists": 1, "unknown": 0}, other)
    assert said == (
        "A folder of recordings: 249 tracks of two genres (rock, jazz) by 1 known artist; "
        "the corpus's own split."
    )
    mixed = music.protocol(COUNTS, CORPUS | {"group_by": "track"})
    assert "whose artists may be in both training and test" in mixed


def test_limitations_follow_the_music():
    real = " ".join(sentences.limitations(CORPUS, COUNTS, 0.08, chosen_here=True))
    assert "53 groups of tracks" in real and "typically differ by 8 points" in real
    assert "chosen on most of these tracks" in real and "Sturm" in real and "composed" not in real
    composed = CORPUS | {"name": "synthetic", "title": "", "synthetic": True, "group_by": "track"}
    said = " ".join(sentences.limitations(composed, COUNTS, None, chosen_here=False))
    assert "no number here is evidence" in said and "too high" in said and "Sturm" not in said
    assert "chosen on" not in said and "Ready spectrograms" not in said


@pytest.mark.parametrize(("title", "count"), [("GTZAN", 2), ("own music", 0)])
def test_only_tracks_outside_the_part_of_our_choices_took_part_in_none(tmp_path, title, count):
    study = StudyFolder(tmp_path)
    tracks = pd.DataFrame({"track_id": list("abcd"), "genre": ["rock", "jazz"] * 2})
    tracks["artist"], tracks["status"] = list("ABCD"), "used"
    tracks["split"] = ["train", "train", "valid", "valid"]
    folds = tracks[["track_id"]].assign(fold=0, part="test", group=tracks["artist"])
    study.write(tracks=tracks, folds=folds, corpus=CORPUS | {"title": title})
    predicted = tracks[["track_id"]].assign(
        excerpt=0, fold=0, y_true=tracks["genre"], p_rock=0.9, p_jazz=0.1
    )
    study.write_model("cnn", predicted, {})
    table = first_page.untouched(study)
    assert len(table) == (count > 0) and table["tracks"].sum() == count
    assert (table["accuracy"] == 0.5).all()
    study.write(tracks=tracks.assign(split="train"))
    assert first_page.untouched(study).empty
