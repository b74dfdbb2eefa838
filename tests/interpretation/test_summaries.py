"""What maps of many excerpts have in common, by part, and what of a sound they point to."""

import numpy as np
import pandas as pd

from genre_utils.interpretation import summaries
from small_study import made_up_maps


def test_bands_lie_between_their_boundaries():
    import librosa

    boundaries = summaries.mel_boundaries(64, 22_050)
    peaks = librosa.mel_frequencies(66, fmin=0, fmax=11_025)[1:-1]
    assert (boundaries[:-1] < peaks).all() and (peaks < boundaries[1:]).all()
    masks = summaries.parts_of(64, 8)
    assert summaries._part_names(masks, boundaries)[-1].endswith(" to 11,000 Hz")
    assert summaries.mel_boundaries(64, 0) is None
    assert summaries._part_names(masks, None)[1] == "bands 9 to 16"


def test_shares_do_not_depend_on_how_sure_a_network_is():
    for along in ("bands", "regions", "moments"):
        tables = []
        for factor in (1, 10):
            maps, data = made_up_maps(factor)
            tables.append(summaries.shares({"cnn": maps}, data, along))
        pd.testing.assert_frame_equal(*tables)
        np.testing.assert_allclose(abs(tables[0]["share"]).groupby(tables[0]["genre"]).sum(), 1)
        assert (tables[0]["low"] < tables[0]["share"]).all()
        assert (tables[0]["share"] < tables[0]["high"]).all()


def test_levels_of_regions_are_those_of_their_bands():
    maps, data = made_up_maps(names=("a", "b", "c"))
    bands, regions = (summaries.shares({"cnn": maps}, data, k) for k in ("bands", "regions"))
    mean = bands["level"].groupby([bands["genre"], bands["part"] // 2]).mean()
    np.testing.assert_allclose(mean, regions["level"])
    spectra = data.excerpts.mean(axis=1)
    means = np.array([spectra[maps.genre == k].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose(bands["level"], (means - means.mean(axis=0)).ravel())


def test_a_region_is_strongest_only_where_both_methods_agree():
    rows = [("a", 0, 0.5, 0.1, -0.1), ("a", 1, 0.3, 0.1, 0.1), ("b", 0, 0.9, -0.1, 0.1)]
    regions = pd.DataFrame(rows, columns=["genre", "part", "share", "low", "lost_low"])
    found = summaries.strongest(regions.assign(network="cnn")).set_index("genre")
    assert found.loc["a", "part"] == 1 and np.isnan(found.loc["b", "part"])


def test_the_most_and_the_least_typical_are_of_the_genre():
    rows = [("t1", "a", 0.9), ("t2", "a", 0.2), ("t3", "b", 0.8), ("t4", "b", 0.7)]
    table = pd.DataFrame(rows, columns=["track_id", "y_true", "p_a"]).assign(excerpt=0, fold=0)
    found = summaries.extremes(table.assign(p_b=1 - table["p_a"]), ["a", "b", "c"])
    assert list(found["track_id"]) == ["t1", "t2", "t4", "t3"]
    assert list(found["predicted"]) == ["a", "b", "a", "a"]
    np.testing.assert_allclose(found["probability"], [0.9, 0.2, 0.3, 0.2])


def test_what_is_let_through_of_a_sound_is_what_the_map_points_to():
    sr, weights = 22_050, np.zeros((65, 64))
    weights[:, 40:44] = 1
    boundaries = summaries.mel_boundaries(64, sr)
    noise = np.random.default_rng(0).normal(size=3 * sr).astype(np.float32)
    y = summaries.filtered(noise, weights, sr, 1024)
    power, hertz = abs(np.fft.rfft(y)) ** 2, np.fft.rfftfreq(len(y), 1 / sr)
    inside = (hertz > boundaries[37]) & (hertz < boundaries[47])
    assert len(y) == len(noise) and power[inside].sum() > 0.9 * power.sum()
