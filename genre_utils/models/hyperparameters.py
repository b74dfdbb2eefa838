"""TODO models.hyperparameters."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import get_type_hints

import numpy as np

#: What a setting may be, where it is a name; `augmentation` may be several (see `batches`).
CHOICES = {
    "activation": ("relu", "leaky_relu", "tanh"),
    "optimizer": ("adam", "adamw", "sgd"),
    "schedule": ("constant", "cosine"),
    "balance": ("none", "weights", "sampling"),
    "augmentation": ("masks", "random excerpts", "mixup"),
    "precision": ("float32", "mixed_float16", "mixed_bfloat16"),
}
AUGMENTATIONS, BALANCES = CHOICES["augmentation"], CHOICES["balance"]
#: Settings of the hardware; `Hyperparameters.as_json` names them only where they are not the usual.
HARDWARE = {"precision": "float32", "replicas": 1}
TUNED = "_tuned"  # how the name of a model ends whose settings were searched


@dataclass(frozen=True)
class Hyperparameters:
    """Settings of one training; the paper's table is about the first three.

    Attributes
    ----------
    learning_rate : float
        At the start, if the schedule lowers it.
    batch_size : int
        Excerpts per step.
    hidden_layers : int
        Convolutional, recurrent and dense layers before the output.
    activation, optimizer, schedule : str
        From `CHOICES`. sgd has a momentum of 0.9; cosine lowers the rate to zero over all epochs
        (Loshchilov and Hutter 2017).
    l2 : float
        Weight of the squared weights in the loss.
    dropout : float
        Share of units left out in training, before each dense layer.
    label_smoothing : float
        Share of each label that is spread evenly over the genres (Szegedy et al. 2016).
    augmentation : tuple of str
        From `AUGMENTATIONS`: what each epoch changes in the training excerpts.
    balance : str
        From `BALANCES`: whether rare genres weigh more in the loss, or are drawn more often.
    normalise : bool
        Whether mel bands are scaled by their statistics over the training excerpts.
    fixed_epochs : int
        Train for so many epochs, on the training and the inner validation part together; 0 to let
        the validation part decide when to stop.
    tuned_on : str
        `splits.learning_hash` of the tracks that the settings were searched on; empty if they
        were not searched.
    precision : str
        From `CHOICES`. The mixed ones compute in 16 bits and keep weights in 32 (Micikevicius et
        al. 2018); float16 is for GPUs, bfloat16 for TPUs, recent GPUs and processors.
    replicas : int
        GPUs that share each batch (see `training.spread`).
    """

    learning_rate: float
    batch_size: int
    hidden_layers: int
    activation: str = "relu"
    optimizer: str = "adam"
    schedule: str = "constant"
    l2: float = 1e-4
    dropout: float = 0.3
    label_smoothing: float = 0.0
    augmentation: tuple[str, ...] = ()
    balance: str = "none"
    normalise: bool = True
    fixed_epochs: int = 0
    tuned_on: str = ""
    precision: str = HARDWARE["precision"]
    replicas: int = HARDWARE["replicas"]

    def __post_init__(self):
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            unknown = set(value if isinstance(value, tuple) else [value]) - set(choices)
            if unknown:
                raise ValueError(
                    f"{name.upper()} is {min(unknown)!r}; choose from {', '.join(choices)}."
                )

    def as_json(self) -> dict:
        """All settings, as a JSON file gives them back."""
        settings = asdict(self) | {"augmentation": list(self.augmentation)}
        return {key: v for key, v in settings.items() if key not in HARDWARE or v != HARDWARE[key]}

    @classmethod
    def from_json(cls, settings: dict) -> "Hyperparameters":
        """Undo `as_json`."""
        return cls(**settings | {"augmentation": tuple(settings["augmentation"])})


#: The starting profile: learning rate, batch size and hidden layers of Guo (2024), Table 2.
PAPER = {
    "cnn": Hyperparameters(learning_rate=0.001, batch_size=32, hidden_layers=4),
    "rnn": Hyperparameters(learning_rate=0.005, batch_size=64, hidden_layers=3, activation="tanh"),
    "hybrid": Hyperparameters(learning_rate=0.001, batch_size=32, hidden_layers=5),
}

#: A dense network on many features for few tracks: much dropout, a rate that falls to zero, and
#: every track that may be learned from.
MLP = Hyperparameters(
    learning_rate=0.001,
    batch_size=32,
    hidden_layers=1,
    optimizer="adamw",
    schedule="cosine",
    dropout=0.5,
    augmentation=("mixup",),
    fixed_epochs=10,
)

#: Settings of every model: the paper's, and for those that it lacks the ones of the same kind.
DEFAULTS = PAPER | {
    "cnn1d": PAPER["cnn"],
    "lstm": Hyperparameters(learning_rate=0.001, batch_size=32, hidden_layers=3),
    "gru": Hyperparameters(learning_rate=0.001, batch_size=32, hidden_layers=3),
    "hybrid_parallel": PAPER["hybrid"],
    "mlp": MLP,
    "fusion": replace(MLP, hidden_layers=5),
    "dbn": Hyperparameters(learning_rate=0.001, batch_size=32, hidden_layers=3),
}


def typical(settings: list[Hyperparameters]) -> Hyperparameters:
    """One setting for several: the median of what is a quantity, the most frequent of the rest."""
    if len(settings) == 1:
        return settings[0]
    chosen = {}
    for name, kind in get_type_hints(Hyperparameters).items():
        values = [getattr(one, name) for one in settings]
        if kind is float:
            chosen[name] = float(np.median(values))
        else:
            chosen[name] = Counter(values).most_common(1)[0][0]
    return Hyperparameters(**chosen | {"tuned_on": ""})
