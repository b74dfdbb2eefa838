"""What a network costs to run, against layers counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

keras = pytest.importorskip("keras")

from keras import layers  # noqa: E402

from genre_utils.models import architectures, cost, hyperparameters  # noqa: E402


def one_layer(layer, shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


BY_HAND = [
    (layers.Dense(4), (8,), 8 * 4),
    (layers.Dense(4), (10, 8), 10 * 8 * 4),
    (layers.Conv1D(5, 3), (10, 8), 8 * 3 * 8 * 5),  # 10 - 3 + 1 = 8 positions
    (layers.Conv2D(5, 3), (9, 7, 2), 7 * 5 * 3 * 3 * 2 * 5),
    (layers.Conv2D(6, 3, padding="same", groups=2), (9, 7, 4), 9 * 7 * 3 * 3 * 2 * 6),
    (layers.Conv2D(5, 3, data_format="channels_first"), (2, 9, 7), 7 * 5 * 3 * 3 * 2 * 5),
    (layers.DepthwiseConv1D(3), (10, 8), 8 * 3 * 8),
    (
        layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2),
        (8, 6, 4),
        4 * 3 * 3 * 3 * 4 * 2,
    ),
    (layers.SeparableConv1D(5, 3), (10, 8), 8 * (3 * 8 + 8 * 5)),
    (layers.SeparableConv2D(5, 3), (9, 7, 2), 7 * 5 * (3 * 3 * 2 + 2 * 5)),
    (layers.SimpleRNN(4), (10, 8), 10 * (8 * 4 + 4 * 4)),
    (layers.GRU(4), (10, 8), 10 * 3 * (8 * 4 + 4 * 4)),
    (layers.LSTM(4, return_sequences=True), (10, 8), 10 * 4 * (8 * 4 + 4 * 4)),
    (layers.Bidirectional(layers.GRU(4)), (10, 8), 2 * 10 * 3 * (8 * 4 + 4 * 4)),
    (layers.TimeDistributed(layers.Conv1D(5, 3)), (6, 10, 8), 6 * 8 * 3 * 8 * 5),
    (layers.BatchNormalization(), (9, 7, 2), 0),
    (layers.RMSNormalization(), (9, 7, 2), 0),
    (layers.MaxPooling2D(), (9, 7, 2), 0),
]


@pytest.mark.parametrize(
    ("layer", "shape", "expected"), BY_HAND, ids=[f"{x[0].name}{x[1]}" for x in BY_HAND]
)
def test_a_layer_costs_what_it_costs_by_hand(layer, shape, expected):
    model = one_layer(layer, shape)
    assert cost.multiply_adds(model) == expected
    table = cost.layer_table(model)
    assert table["multiply_adds"].sum() == expected
    assert table["parameters"].sum() == model.count_params()


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["same", "valid"]),
)
def test_a_convolution_costs_a_kernel_for_each_value_it_gives(
    size, channels, kernel, strides, padding
):
    if padding == "valid":
        size = tuple(map(max, size, kernel))
        given_out = [(s - k) // step + 1 for s, k, step in zip(size, kernel, strides, strict=True)]
    else:
        given_out = [-(-s // step) for s, step in zip(size, strides, strict=True)]
    layer = layers.Conv2D(channels[1], kernel, strides=strides, padding=padding)
    expected = np.prod(given_out) * np.prod(kernel) * np.prod(channels)
    assert cost.multiply_adds(one_layer(layer, (*size, channels[0]))) == expected


def test_a_layer_called_twice_costs_twice_and_has_its_parameters_once():
    inputs = keras.Input((10, 8))
    shared = layers.Dense(8, name="shared")
    model = keras.Model(inputs, shared(shared(inputs)))
    keras.Model(inputs, shared(inputs))  # a call in another model is none of this one's
    assert cost.multiply_adds(model) == 2 * 10 * 8 * 8
    row = cost.layer_table(model).set_index("layer").loc["shared"]
    assert row[["parameters", "multiply_adds"]].tolist() == [8 * 8 + 8, 2 * 10 * 8 * 8]


def test_a_model_within_a_model_counts_as_its_layers_do():
    inner = one_layer(layers.Dense(4), (8,))
    outer = one_layer(inner, (8,))
    assert cost.multiply_adds(outer) == 8 * 4
    assert cost.layer_table(outer)["multiply_adds"].sum() == 8 * 4


@pytest.mark.parametrize("name", sorted(architectures.BUILDERS))
def test_every_model_of_the_study_is_counted(name):
    settings = hyperparameters.Hyperparameters(learning_rate=0.001, batch_size=32, hidden_layers=4)
    shapes = {"log_mel": (66, 128), "features": (300,)}
    statistics = {key: (np.zeros(shape[-1]), np.ones(shape[-1])) for key, shape in shapes.items()}
    model = architectures.build(name, shapes, 4, settings, statistics)
    table = cost.layer_table(model)
    assert cost.multiply_adds(model) == table["multiply_adds"].sum() > 0
    assert model.count_params() == table["parameters"].sum()
    weighty = ["Conv", "Dense", "RNN", "GRU", "LSTM", "Bidirectional"]
    counted = table[table["kind"].str.contains("|".join(weighty))]
    assert (counted["multiply_adds"] > 0).all()


def test_what_cannot_be_counted_is_named():
    with pytest.raises(ValueError, match="odd is a Conv2DTranspose"):
        cost.multiply_adds(one_layer(layers.Conv2DTranspose(2, 3, name="odd"), (9, 7, 2)))
    with pytest.raises(ValueError, match="odd: its shape is not fixed"):
        cost.multiply_adds(one_layer(layers.Dense(2, name="odd"), (None, 7)))
    with pytest.raises(ValueError, match="odd is not a functional model"):
        cost.multiply_adds(keras.Sequential([layers.Dense(2)], name="odd"))
    within = layers.TimeDistributed(layers.Conv1DTranspose(2, 3, name="inner"))
    with pytest.raises(ValueError, match="inner is a Conv1DTranspose"):
        cost.multiply_adds(one_layer(within, (6, 10, 8)))
