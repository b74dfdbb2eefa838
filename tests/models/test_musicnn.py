"""musicnn rebuilt: its numbers and its tags."""

import ast

import librosa
import numpy as np
import pytest
from conftest import song

from genre_utils.features import audio, patches
from genre_utils.models import musicnn

NETWORKS = ("MSD_musicnn", "MTT_musicnn")
#: Mean over ten patches and first patch, by place of the tag among the 50.
TAGS = {
    "jazz.00005": ({9: 0.832, 26: 0.060, 5: 0.055}, {9: 0.954, 23: 0.062}),
    "metal.00004": ({11: 0.620, 42: 0.126, 24: 0.092}, {11: 0.571, 4: 0.104}),
}


@pytest.mark.parametrize("track", TAGS)
def test_tags_of_real_music_are_those_of_the_original(gtzan_mini, track):
    path = gtzan_mini / "genres" / track.split(".")[0] / f"{track}.wav"
    power, starts = patches.cut(audio.load_clip(path, seconds=31.0, sr=patches.SAMPLE_RATE)[0])
    assert power.shape == (10, 187, 257) and starts[1] == pytest.approx(patches.SECONDS)
    found = patches.listen(power)["tags"]
    for tags, expected in zip((found.mean(axis=0), found[0]), TAGS[track], strict=True):
        places = list(expected)
        assert list(np.argsort(-tags)[: len(places)]) == places
        np.testing.assert_allclose(tags[places], list(expected.values()), atol=6e-4)


def by_hand(values, image):
    """Pooled values, embedding and tags of one patch, computed from the checkpoint by NumPy."""
    numbers = {"conv2d": 0, "batch_normalization": 0}

    def of(kind):
        number = numbers[kind]
        numbers[kind] += 1
        return f"{kind}_{number}" if number else kind

    def normalised(x, name=None):
        name = name or of("batch_normalization")
        gamma, beta, mean, variance = (
            values[f"{name}/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def convolved(x, before, after):
        name = of("conv2d")
        kernel = values[f"{name}/kernel"][:, :, 0]
        x = np.pad(x, ((before, after), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2])
        out = np.tensordot(windows, kernel, 2) + values[f"{name}/bias"]
        return normalised(np.maximum(out, 0))

    x = normalised(image)
    front = [convolved(x, 3, 3).max(axis=1) for _ in range(2)]
    front += [convolved(x, n // 2 - 1, n // 2).max(axis=1) for n in (128, 64, 32)]
    front = np.concatenate(front, axis=1)
    one = convolved(front, 3, 3)[:, 0]
    two = convolved(one, 3, 3)[:, 0] + one
    three = convolved(two, 3, 3)[:, 0] + two
    x = np.concatenate([front, one, two, three], axis=1)
    pooled = np.stack([x.max(axis=0), x.mean(axis=0)], axis=1).ravel()
    dense = normalised(pooled) @ values["dense/kernel"] + values["dense/bias"]
    embedding = normalised(np.maximum(dense, 0))
    tags = embedding @ values["dense_1/kernel"] + values["dense_1/bias"]
    return {"pooled": pooled, "embedding": embedding, "tags": 1 / (1 + np.exp(-tags))}


@pytest.mark.usefixtures("musicnn_learned")
@pytest.mark.parametrize("name", NETWORKS)
def test_it_computes_what_the_checkpoint_means(name):
    import tensorflow as tf

    reader = tf.compat.v1.train.NewCheckpointReader(f"{patches.learned(name)}/")
    own = [key for key in reader.get_variable_to_shape_map() if "Adam" not in key and "/" in key]
    values = {key: reader.get_tensor(key).astype(float) for key in own}
    model = musicnn.load(name)
    assert model.count_params() == sum(array.size for array in values.values()) == 792_079
    image = np.random.default_rng(0).uniform(0, 4, (187, 96)).astype(np.float32)
    found, expected = model.predict_on_batch(image[np.newaxis]), by_hand(values, image)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key][0], value, rtol=1e-4, atol=2e-5, err_msg=key)


@pytest.mark.usefixtures("musicnn_learned")
def test_the_network_that_comes_along_is_the_one_rebuilt(tmp_path):
    y = np.concatenate([song(0, seconds=4.0, sr=patches.SAMPLE_RATE), np.zeros(9_000, np.float32)])
    power, _ = patches.cut(y)
    image = np.log10(1 + 10_000 * librosa.feature.melspectrogram(
        y=y, sr=16_000, n_fft=512, hop_length=256, n_mels=96
    ))  # fmt: skip
    expected = musicnn.load().predict_on_batch(image.T[np.newaxis, :187])
    for name, values in patches.listen(power).items():
        np.testing.assert_allclose(values[:1], expected[name], rtol=1e-3, atol=1e-4, err_msg=name)
    again = tmp_path / "again.tflite"
    musicnn.write_litert(again)
    assert abs(again.stat().st_size - patches.NETWORK.stat().st_size) < 10_000


def test_tags_have_the_names_that_the_package_gives_them(musicnn_learned):
    source = (patches.learned() / "configuration.py").read_text()
    named = ast.literal_eval(source.partition("MSD_LABELS = ")[2].partition("]")[0] + "]")
    assert [name.lower() for name in named] == [*patches.TAGS]


@pytest.mark.usefixtures("musicnn_learned")
def test_the_package_is_never_imported(run_python):
    program = "import sys\nfrom genre_utils.models import musicnn\nmusicnn.load()\n"
    assert run_python(program + "print('musicnn' in sys.modules)").strip() == "False"
