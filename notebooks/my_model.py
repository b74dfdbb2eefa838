"""A model of my own, for the notebook tutorial_own_model: copy this file and change it.

The name of the file is the name of the model.
"""

from keras import layers, regularizers

from genre_utils.models import hyperparameters

#: What the model reads: "log_mel", excerpts of the spectrogram, or "features", handcrafted ones.
READS = "log_mel"

#: Learning rate, batch size and so on; hyperparameters.Hyperparameters says what there is.
SETTINGS = hyperparameters.Hyperparameters(learning_rate=0.003, batch_size=32, hidden_layers=2)


def build(x, settings):
    """Turn excerpts (batch, frames, mel bands) into one vector each (batch, units).

    They are normalised already, and a layer after this one makes the probabilities of the genres.
    Here: a short pattern in time, then its mean and its maximum, then one dense layer.
    """
    x = layers.AveragePooling1D(4)(x)
    x = layers.Conv1D(32, 5, padding="same", activation=settings.activation)(x)
    mean = layers.GlobalAveragePooling1D()(x)
    strongest = layers.GlobalMaxPooling1D()(x)
    x = layers.Dropout(settings.dropout)(layers.Concatenate()([mean, strongest]))
    penalty = regularizers.L2(settings.l2)
    return layers.Dense(32, activation=settings.activation, kernel_regularizer=penalty)(x)
