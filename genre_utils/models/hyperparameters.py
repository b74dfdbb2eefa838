"""Settings of the networks: what there is to set, the paper's values, and each network's own."""

from dataclasses import asdict, dataclass, fields, replace
from statistics import mode

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
#: What training may change in a batch, and how it may treat rare genres.
AUGMENTATIONS, BALANCES = CHOICES["augmentation"], CHOICES["balance"]


@dataclass(frozen=True)
class Hyperparameters:
    """Settings of one training; the paper's table is about the first three."""

    learning_rate: float  # the highest, if the schedule changes it
    batch_size: int  # excerpts per step
    hidden_layers: int  # convolutional, recurrent and dense ones; the paper doesn't say which count
    width: float = 1.0  # of its layers, as a share of the usual number of filters or units
    activation: str = "relu"
    optimizer: str = "adam"  # sgd has a momentum of 0.9
    schedule: str = "constant"  # cosine: falls to zero over all epochs (Loshchilov, Hutter 2017)
    warmup: float = 0.0  # share of the steps in which the rate rises, before a cosine
    weight_decay: float = 0.004  # of adamw (Loshchilov, Hutter 2019)
    averaging: float = 0.0  # momentum of averaged weights (Polyak, Juditsky 1992), of fixed epochs
    l2: float = 1e-4  # weight of the squared weights in the loss
    dropout: float = 0.3  # share of units left out in training, before each dense layer
    label_smoothing: float = 0.0  # share of a label spread over all genres (Szegedy et al. 2016)
    augmentation: tuple[str, ...] = ()  # what each epoch changes in the training excerpts
    balance: str = "none"  # whether rare genres weigh more in the loss, or are drawn more often
    normalise: bool = True  # mel bands, by their statistics over the training excerpts
    fixed_epochs: int = 0  # so many at most, on both training and validation; 0: stop by the latter
    tuned_on: str = ""  # `splits.learning_hash` of the tracks that the settings were searched on
    precision: str = "float32"  # mixed: layers in 16 bits, weights in 32 (Micikevicius et al. 2018)

    def __post_init__(self):
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            unknown = set(value if isinstance(value, tuple) else [value]) - set(choices)
            if unknown:
                raise ValueError(
                    f"{name.upper()} is {min(unknown)!r}; choose from {', '.join(choices)}."
                )
        if self.averaging and not self.fixed_epochs:  # the best epoch's own would be restored
            raise ValueError("AVERAGING is of fixed epochs: set FIXED_EPOCHS too.")

    def as_json(self) -> dict:
        """Give all settings as a JSON file gives them back; the precision only if it is unusual."""
        settings = asdict(self) | {"augmentation": list(self.augmentation)}
        if self.precision == "float32":
            del settings["precision"]
        return settings

    @classmethod
    def from_json(cls, settings: dict) -> "Hyperparameters":
        """Undo `as_json`; what an older file holds and is no setting any more is left out."""
        given = settings | {"augmentation": tuple(settings["augmentation"])}
        return cls(**{one.name: given[one.name] for one in fields(cls) if one.name in given})


#: Learning rate, batch size and hidden layers of Guo (2024), Table 2; a rate that stays as it is.
PAPER = {
    "cnn_paper": Hyperparameters(0.001, 32, 4),
    "rnn_paper": Hyperparameters(0.005, 64, 3, activation="tanh"),
    "hybrid_paper": Hyperparameters(0.001, 32, 5),
}

#: One recipe for every other network: found on the ``train`` part of GTZAN (`benchmarks/networks`).
RECIPE = Hyperparameters(0.002, 32, 4, optimizer="adamw", schedule="cosine", warmup=0.1,
                         weight_decay=0.02, l2=0.0, dropout=0.4, label_smoothing=0.1,
                         augmentation=CHOICES["augmentation"], fixed_epochs=25)  # fmt: skip

#: Many features for few tracks: much dropout, and every track that may be learned from.
MLP = Hyperparameters(0.001, 32, 1, optimizer="adamw", schedule="cosine", dropout=0.5,
                      augmentation=("mixup",), fixed_epochs=10)  # fmt: skip

#: Settings of every network.
DEFAULTS = PAPER | {
    "cnn": RECIPE,
    "cnn1d": replace(RECIPE, hidden_layers=3),
    "rnn": replace(RECIPE, hidden_layers=2),
    "lstm": replace(RECIPE, hidden_layers=2),
    "gru": replace(RECIPE, hidden_layers=2),
    "hybrid": RECIPE,
    "hybrid_parallel": replace(RECIPE, hidden_layers=5),
    "mlp": MLP,
    "fusion": replace(RECIPE, hidden_layers=5),
    "dbn": replace(RECIPE, hidden_layers=3),
}


def choose_settings(names, augmentation=(), **changes) -> dict[str, Hyperparameters]:
    """Choose the settings of several networks: those of `DEFAULTS`, changed alike.

    Parameters
    ----------
    names : iterable of str
        The networks.
    augmentation : iterable of str
        From `AUGMENTATIONS`, beside what a network's own settings have.
    **changes
        Other fields of `Hyperparameters`, and their values.

    Returns
    -------
    dict of str to Hyperparameters
        By network.

    Examples
    --------
    >>> choose_settings(["cnn", "rnn"], dropout=0.5)["rnn"].learning_rate
    0.002
    """
    found = {}
    for name in names:
        both = tuple(dict.fromkeys([*DEFAULTS[name].augmentation, *augmentation]))
        found[name] = replace(DEFAULTS[name], augmentation=both, **changes)
    return found


def typical(several: list[Hyperparameters]) -> Hyperparameters:
    """One setting for several: the median of what is a quantity, the most frequent of the rest."""
    if len(set(several)) == 1:
        return several[0]
    chosen: dict = {}
    for one in fields(Hyperparameters):
        values = [getattr(settings, one.name) for settings in several]
        chosen[one.name] = float(np.median(values)) if one.type is float else mode(values)
    return Hyperparameters(**chosen | {"tuned_on": ""})
