"""The deep models: one short builder each, one registry, one signature.

Every builder takes any frame rate and number of mel bands. What the paper calls the number of
hidden layers is, here, the number of convolutional, recurrent and dense layers before the output;
the paper does not say what it counts.
"""

from dataclasses import asdict, dataclass

import keras
import numpy as np
from keras import layers

#: What training may change anew in every epoch (see `batches`), and how it may balance genres.
AUGMENTATIONS = ("masks", "random excerpts", "mixup")
BALANCES = ("none", "weights", "sampling")


@dataclass(frozen=True)
class Hyperparameters:
    """Settings of one training; the paper's table is about the first three.

    Attributes
    ----------
    learning_rate : float
    batch_size : int
        Excerpts per step.
    hidden_layers : int
        Convolutional, recurrent and dense layers before the output.
    activation, optimizer : str
        Names that Keras knows.
    l2 : float
        Weight of the squared weights in the loss.
    dropout : float
        Share of units left out in training, before each dense layer.
    augmentation : tuple of str
        From `AUGMENTATIONS`: what each epoch changes in the training excerpts.
    balance : str
        From `BALANCES`: whether rare genres weigh more in the loss, or are drawn more often.
    normalise : bool
        Whether mel bands are scaled by their statistics over the training excerpts.
    """

    learning_rate: float
    batch_size: int
    hidden_layers: int
    activation: str = "relu"
    optimizer: str = "adam"
    l2: float = 1e-4
    dropout: float = 0.3
    augmentation: tuple[str, ...] = ()
    balance: str = "none"
    normalise: bool = True

    def __post_init__(self):
        unknown = set(self.augmentation) - set(AUGMENTATIONS)
        if unknown:
            raise ValueError(
                f"AUGMENTATION names {min(unknown)!r}; choose from {', '.join(AUGMENTATIONS)}."
            )
        if self.balance not in BALANCES:
            raise ValueError(f"BALANCE is {self.balance!r}; choose one of {', '.join(BALANCES)}.")

    def as_json(self) -> dict:
        """All settings, as a JSON file gives them back."""
        return asdict(self) | {"augmentation": list(self.augmentation)}


#: The starting profile: learning rate, batch size and hidden layers of Guo (2024), Table 2.
PAPER = {
    "cnn": Hyperparameters(learning_rate=0.001, batch_size=32, hidden_layers=4),
    "rnn": Hyperparameters(learning_rate=0.005, batch_size=64, hidden_layers=3, activation="tanh"),
    "hybrid": Hyperparameters(learning_rate=0.001, batch_size=32, hidden_layers=5),
}


def build(name: str, shape: tuple[int, int], n_genres: int, hyperparameters, *, mean, variance):
    """Build one of the models in `BUILDERS`, not yet compiled.

    Parameters
    ----------
    name : str
    shape : tuple of int
        Frames and mel bands of an excerpt.
    n_genres : int
    hyperparameters : Hyperparameters
    mean, variance : np.ndarray, shape (mels,)
        Statistics of each mel band over the training tracks; the model holds them, so that what
        is trained and what is used later are normalised alike.

    Returns
    -------
    keras.Model
        From log-mel excerpts (batch, frames, mels) to genre probabilities (batch, genres).
    """
    inputs = keras.Input(shape, name="log_mel")
    normalised = layers.Normalization(
        axis=-1, mean=np.asarray(mean).tolist(), variance=np.asarray(variance).tolist()
    )(inputs)
    hidden = BUILDERS[name](normalised, hyperparameters)
    outputs = layers.Dense(n_genres, activation="softmax", name="genre")(hidden)
    return keras.Model(inputs, outputs, name=name)


def build_cnn(x, settings: Hyperparameters):
    """Two-dimensional convolutions over time and frequency, then one dense layer."""
    x = _convolutions(x, settings, settings.hidden_layers - 1)
    x = layers.GlobalAveragePooling2D()(x)
    return _dense(x, settings)


def build_rnn(x, settings: Hyperparameters):
    """Simple recurrent layers (Elman 1990) over time, then one dense layer.

    Frames are averaged to about five a second first: a simple recurrent network forgets within
    tens of steps.
    """
    x = layers.AveragePooling1D(_at_most(x.shape[1], 32))(x)
    for depth in range(1, settings.hidden_layers):
        x = layers.SimpleRNN(
            64,
            activation=settings.activation,
            kernel_regularizer=keras.regularizers.L2(settings.l2),
            return_sequences=True,
            unroll=True,
            name=f"recurrent_{depth}",
        )(x)
    x = layers.GlobalAveragePooling1D()(x)
    return _dense(x, settings)


def build_hybrid(x, settings: Hyperparameters):
    """Convolutions find local patterns; a bidirectional GRU follows them through time."""
    x = _convolutions(x, settings, settings.hidden_layers - 2)
    frames, bands, filters = x.shape[1:]
    x = layers.Reshape((frames, bands * filters))(x)
    x = layers.Bidirectional(layers.GRU(32), name="recurrent")(x)
    return _dense(x, settings)


def _convolutions(x, settings, count):
    """`count` blocks: 3x3 convolution, activation, max pooling, batch normalisation.

    The spectrogram is averaged to at most 70 frames by 64 bands first, and normalised after the
    pooling, where there is an eighth as much to normalise: each halves the time of a step.
    """
    frames, bands = x.shape[1:]
    x = layers.Reshape((frames, bands, 1))(x)
    x = layers.AveragePooling2D((_at_most(frames, 70), _at_most(bands, 64)))(x)
    for depth in range(1, count + 1):
        x = layers.Conv2D(
            16 * 2 ** (depth - 1),
            3,
            padding="same",
            activation=settings.activation,
            kernel_regularizer=keras.regularizers.L2(settings.l2),
            name=f"convolution_{depth}",
        )(x)
        pool = (2, 4) if depth == 1 else (2, 2)
        x = layers.MaxPooling2D(tuple(map(min, pool, x.shape[1:3])))(x)
        x = layers.BatchNormalization(momentum=0.9)(x)  # few steps an epoch: follow sooner
    return x


def _dense(x, settings):
    x = layers.Dropout(settings.dropout)(x)
    return layers.Dense(
        64,
        activation=settings.activation,
        kernel_regularizer=keras.regularizers.L2(settings.l2),
        name="dense",
    )(x)


def _at_most(size, limit):
    """How many neighbours to average so that at most `limit` of `size` values remain."""
    return -(-size // limit)


BUILDERS = {"cnn": build_cnn, "rnn": build_rnn, "hybrid": build_hybrid}
