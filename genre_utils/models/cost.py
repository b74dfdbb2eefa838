"""Multiply-adds of weights with activations that a network needs for one input, from its layers.

Every tap of a kernel counts, also where it meets padding; biases, normalisation, activations,
pooling and products of two activations (gates, attention weights) are few, and do not count.
"""

import math

import keras
import pandas as pd
from keras import layers

#: Every position of the output needs every kernel of the layer once.
KERNELS = (
    layers.Dense, layers.Conv1D, layers.Conv2D, layers.DepthwiseConv1D, layers.DepthwiseConv2D,
    layers.SeparableConv1D, layers.SeparableConv2D,
)  # fmt: skip
#: Every step of the input needs the kernel and the recurrent kernel once.
RECURRENT = (layers.SimpleRNN, layers.GRU, layers.LSTM)
#: Weighted layers whose work is not counted.
FREE = (
    layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization,
    layers.RMSNormalization, layers.Normalization, layers.PReLU,
)  # fmt: skip


def multiply_adds(model: keras.Model) -> int:
    """Count the multiply-adds that one input of fixed shape needs in a functional network."""
    return sum(count for _, count in _calls(model))


def layer_table(model: keras.Model) -> pd.DataFrame:
    """Describe each layer of a network: its parameters, and what it costs to run.

    Parameters
    ----------
    model : keras.Model
        Functional; no weight may be shared by two of its layers.

    Returns
    -------
    pd.DataFrame
        Columns layer, kind, output_shape (of its first call), parameters, multiply_adds.
    """
    calls = pd.DataFrame(_calls(model), columns=["layer", "multiply_adds"])
    counts = calls.groupby("layer")["multiply_adds"].sum()
    rows = [
        {
            "layer": layer.name,
            "kind": type(layer).__name__,
            "output_shape": keras.tree.map_structure(lambda x: x.shape[1:], layer.output),
            "parameters": layer.count_params(),
            "multiply_adds": counts[layer.name],
        }
        for layer in model.layers
    ]
    return pd.DataFrame(rows)


def cost_table(networks: dict, seconds: float) -> pd.DataFrame:
    """Count what several networks have to learn and to compute.

    Parameters
    ----------
    networks : dict of str to keras.Model
        By name.
    seconds : float
        Duration of the excerpt that a network reads.

    Returns
    -------
    pd.DataFrame
        A row per network: parameters, multiply-adds per second of music.
    """
    columns = ["parameters", "multiply-adds per second"]
    rows = [(one.count_params(), multiply_adds(one) / seconds) for one in networks.values()]
    return pd.DataFrame(rows, index=list(networks), columns=columns)


def _calls(model):
    """Every call of an operation in a functional model: its name, and what it costs."""
    if not hasattr(model, "_nodes_by_depth"):
        raise ValueError(f"{model.name} is not a functional model: its calls cannot be counted.")
    # Keras has no public list of the calls within one model: a layer knows those of all models
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            shapes = ([x.shape[1:] for x in xs] for xs in (node.input_tensors, node.outputs))
            yield node.operation.name, _cost(node.operation, *shapes)


def _cost(layer, inputs, outputs):
    """Multiply-adds of one call of a layer, from the shapes of its inputs and outputs."""
    if not getattr(layer, "weights", ()) or isinstance(layer, FREE):
        return 0
    if isinstance(layer, keras.Model):
        return multiply_adds(layer)
    if None in (*inputs[0], *outputs[0]):
        raise ValueError(f"{layer.name}: its shape is not fixed. Give the model fixed inputs.")
    if isinstance(layer, layers.Bidirectional):
        halves = layer.forward_layer, layer.backward_layer
        return sum(_cost(half, inputs, outputs) for half in halves)
    if isinstance(layer, layers.TimeDistributed):
        steps, *inner = inputs[0]
        return steps * _cost(layer.layer, [inner], [outputs[0][1:]])
    cell = getattr(layer, "cell", layer)
    kernels = sum(math.prod(w.shape) for w in cell.weights if w.name.endswith("kernel"))
    if isinstance(layer, RECURRENT):
        return inputs[0][0] * kernels
    if isinstance(layer, KERNELS):
        channels = 0 if getattr(layer, "data_format", "") == "channels_first" else -1
        return math.prod(outputs[0]) // outputs[0][channels] * kernels
    raise ValueError(
        f"{layer.name} is a {type(layer).__name__}: say in {__name__} what its multiply-adds are."
    )
