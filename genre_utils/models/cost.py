"""What it costs to run a network once, counted from its layers: no timing, no machine.

Counted are multiply-adds of weights with activations: what one input needs in convolutional, dense
and recurrent layers. Every tap of a kernel counts, also where it meets padding. Not counted are
biases, normalisation, activations, pooling, dropout, and products of two activations (gates and
attention weights): they are few beside the others.
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
    """Count the multiply-adds of weights with activations that one input of a model needs.

    Parameters
    ----------
    model : keras.Model
        A functional model whose inputs have a fixed shape. A layer that is called twice counts
        twice; a model within it counts as its layers do.

    Raises
    ------
    ValueError
        If the model is not functional, or has a layer with weights that is not known here or a
        shape that is not fixed; the message names it.
    """
    return sum(count for _, count in _calls(model))


def layer_table(model: keras.Model) -> pd.DataFrame:
    """Describe each layer of a model: its parameters, and what it costs to run.

    Parameters
    ----------
    model : keras.Model
        As in `multiply_adds`; no weight may be shared by two of its layers.

    Returns
    -------
    pd.DataFrame
        layer, kind, output_shape (of one input; of the first call of a layer that is called
        twice), parameters, multiply_adds. The last two sum to ``model.count_params()`` and
        ``multiply_adds(model)``.
    """
    counts = {}
    for layer, count in _calls(model):
        counts[layer.name] = counts.get(layer.name, 0) + count
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


def _calls(model):
    """Every call of an operation in a functional model, with what it costs."""
    if not hasattr(model, "_nodes_by_depth"):
        raise ValueError(f"{model.name} is not a functional model: its calls cannot be counted.")
    # Keras has no public list of the calls within one model: a layer knows those of all models
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            inputs = [x.shape[1:] for x in node.input_tensors]
            yield node.operation, _cost(node.operation, inputs, [x.shape[1:] for x in node.outputs])


def _cost(layer, inputs, outputs):
    """Multiply-adds of one call of a layer, from the shapes of its inputs and outputs."""
    if not getattr(layer, "weights", ()) or isinstance(layer, FREE):
        return 0
    if isinstance(layer, keras.Model):
        return multiply_adds(layer)
    if None in (*inputs[0], *outputs[0]):
        raise ValueError(
            f"{layer.name}: its shape is not fixed ({inputs[0]} to {outputs[0]}), so that what it "
            "costs is not known. Give the model inputs of a fixed shape."
        )
    if isinstance(layer, layers.Bidirectional):
        both = layer.forward_layer, layer.backward_layer
        return sum(_cost(half, inputs, outputs) for half in both)
    if isinstance(layer, layers.TimeDistributed):
        steps, *inner = inputs[0]
        return steps * _cost(layer.layer, [inner], [outputs[0][1:]])
    if isinstance(layer, RECURRENT):
        return inputs[0][0] * _kernel_sizes(layer)
    if isinstance(layer, KERNELS):
        channels = 1 if getattr(layer, "data_format", "") == "channels_first" else -1
        positions = math.prod(outputs[0]) // outputs[0][0 if channels == 1 else -1]
        return positions * _kernel_sizes(layer)
    raise ValueError(
        f"{layer.name} is a {type(layer).__name__}, whose multiply-adds are not known: say in "
        "genre_utils/cost.py how they are counted."
    )


def _kernel_sizes(layer):
    cell = getattr(layer, "cell", layer)
    return sum(math.prod(w.shape) for w in cell.weights if w.name.endswith("kernel"))
