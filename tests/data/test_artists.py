"""Artists who recorded together are tied; those who share a word are not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.data import artists

DIVAS = "Aretha Franklin, Celine Dion, Mariah Carey, Shania Twain & Gloria Estefan"


def groups(*names, ids=None):
    ids = ids or [f"t{n}" for n in range(len(names))]
    table = pd.DataFrame({"track_id": ids, "artist": names}, index=np.arange(len(ids)) * 3)
    return list(artists.groups_of(table, "artist"))


@pytest.mark.parametrize(
    ("together", "member"),
    [
        (DIVAS, "Mariah Carey"),
        (DIVAS, "Gloria Estefan"),
        ("Peter Tosh and Mick Jagger", "Mick Jagger"),
        ("Rage Against the Machine", "Rage Against The Machine"),
        ("The Rolling Stones", "Rolling  Stones"),
        ("Santana feat. Rob Thomas", "Rob Thomas"),
        ("Santana (feat. Rob Thomas)", "santana"),
        ("Eric Clapton [with Cream]", "Cream"),
        ("Ella Fitzgerald / Louis Armstrong", "Louis Armstrong"),
        ("Queen + Paul Rodgers", "Queen"),
        ("Beyonce\u0301", "Beyonc\u00e9"),
    ],
)  # fmt: skip
def test_collaborations_and_spellings_are_tied(together, member):
    one, two, other = groups(together, member, "Somebody Else")
    assert one == two != other


def test_ties_go_through_others_and_are_named_by_the_first():
    assert groups("D", "A & B", "B & C", "C") == ["D", "A & B", "A & B", "A & B"]


def test_unknown_artists_are_never_tied():
    artists = [
        f"unknown:{name}" for name in ("rock/Salt and Pepper.wav", "rock/Salt", "Pepper.wav")
    ]
    assert groups(*artists, "Salt", "pepper.wav") == [*artists, "Salt", "pepper.wav"]


def test_grouped_by_track_each_track_is_alone():
    table = pd.DataFrame({"track_id": ["x", "y"], "artist": ["A", "A"]}, index=[5, 9])
    assert list(artists.groups_of(table, "track")) == ["x", "y"]


@given(st.lists(st.lists(st.sampled_from("ABCDEFGH"), min_size=1, max_size=3), min_size=1))
def test_tracks_that_credit_the_same_name_are_in_one_group(credits):
    found = groups(*[" & ".join(names) for names in credits])
    for i, names in enumerate(credits):
        assert all(found[i] == found[j] for j, n in enumerate(credits) if set(names) & set(n))
    assert len(set(found)) <= len(set().union(*credits))


def test_the_real_collaborations_are_tied(gtzan_mel80):
    tracks = pd.read_csv(gtzan_mel80 / "tracks.csv").rename_axis("row")
    found = artists.groups_of(tracks, "artist")
    assert len(set(found[tracks["artist"].str.contains("Mick Jagger|Peter Tosh")])) == 1
    assert len(set(found[tracks["artist"].str.contains("Rage Against [tT]he Machine")])) == 1
    unknown = tracks["artist"].str.startswith("unknown:")
    assert found[unknown].is_unique


@pytest.mark.parametrize(
    "names",
    [
        ("Beatles, The", "Who, The", "Kinks, The"),
        ("Coltrane, John", "McLaughlin, John", "Elton John"),
        ("Haydn, Franz Joseph", "Aumann, Franz Joseph"),
        ("Nirvana (2)", "Bush (2)"),
        ("Hank Williams, Jr.", "Sammy Davis, Jr."),
        ("Genesis [UK]", "Queen [UK]"),
        ("Band A (live)", "Band B (live)", "Band C (Live at Wembley)"),
        ("Abba / Remastered", "Cream / Remastered", "Toto / 2011 Remaster"),
        ("Glenn Miller and His Orchestra", "Duke Ellington and His Orchestra"),
        ("Tom & Friends", "Ella & Friends"),
        ("Miles, lead vocals", "Chet, lead vocals"),
        ("AC/DC", "DC Talk"),
        ("Simon & Garfunkel", "Paul Simon"),
        ("Orchester, Berlin", "Hansa, Berlin"),
        ("Unknown (1)", "Unknown (2)"),
        ("Andy Sandman", "Sandman", "Featherstone", "Withers", "Sandy", "&", "The"),
    ],
)
def test_artists_are_not_tied_by_a_word(names):
    assert groups(*names) == list(names)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Beatles, The", "The Beatles"),
        ("Coltrane, John", "John Coltrane"),
        ("Nirvana (2)", "Nirvana"),
        ("Berliner Philharmoniker, Herbert von Karajan", "Anna Netrebko, Herbert von Karajan"),
        ("Crosby, Stills & Nash", "Nash"),
        ("Brian Wilson (Beach Boys)", "Beach Boys"),
        ("Bob Dylan & The Band", "The Band"),
        ("Shakira, Rihanna & Drake", "Rihanna & Eminem"),
        ("Bj\u00f6rk", "Bjo\u0308rk"),
    ],
)
def test_whole_names_tie_in_whatever_order_and_company(one, other):
    found = groups(one, other, "Somebody Else")
    assert found[0] == found[1] != found[2]


def test_a_column_group_counts_instead_of_names():
    table = pd.DataFrame({"track_id": list("abcd"), "artist": ["X & Y", "X", "Y", "Z"]})
    assert artists.groups_of(table, "artist").nunique() == 2
    told = artists.tie_warnings(table)
    assert len(told) == 1 and "X = X & Y = Y" in told[0] and "column group" in told[0]
    stated = table.assign(group=["", "X alone", "", "X alone"])
    assert list(artists.groups_of(stated, "artist")) == ["X & Y", "X alone", "X & Y", "X alone"]
    assert "X & Y = Y." in artists.tie_warnings(stated)[0]


def test_no_tie_is_no_warning():
    table = pd.DataFrame({"track_id": ["a", "b"], "artist": ["X", "Y"]})
    assert artists.tie_warnings(table) == []


@pytest.mark.parametrize(
    ("title", "artist", "left"),
    [
        ("John Lee Hooker - Boom Boom", "John Lee Hooker", "- boom boom"),
        ("Giant Steps, John Coltrane", "Coltrane, John", "giant steps,"),
        ("Yes or No Yesterday", "Yes", "or no yesterday"),
        ("The Beatles: Help!", "Beatles", "the : help!"),
        ("Under Pressure (with David Bowie)", "Queen & David Bowie", "under pressure (with )"),
        ("Beyonce\u0301 Live", "Beyonc\u00e9", "live"),
        ("A.B. (C*) d", "C*", "a.b. ( ) d"),
    ],
)
def test_a_title_loses_the_names_of_its_artist(title, artist, left):
    assert artists.without_names(title, artist) == left


@given(st.text(max_size=30), st.from_regex("[a-z]{2,8} [a-z]{2,8}", fullmatch=True))
def test_the_name_of_an_artist_is_nowhere_left(title, artist):
    assert artist not in artists.without_names(f"{title} - {artist} - {title}", artist)
