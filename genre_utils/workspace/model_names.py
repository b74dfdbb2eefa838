"""Names of the models, and what kind each of them is: nothing else lists them."""

from itertools import chain

#: Networks, by the notebook that trains them; it is left out of a study that asks for none.
NETWORKS_OF = {
    "03_cnn": ("cnn", "cnn_paper", "cnn1d"),
    "04_rnn": ("rnn", "rnn_paper", "gru", "lstm"),
    "05_hybrid": ("hybrid", "hybrid_paper", "hybrid_parallel", "mlp", "fusion", "dbn"),
}
NETWORKS = tuple(chain.from_iterable(NETWORKS_OF.values()))
CLASSICAL = ("svm", "logistic", "knn")  # of notebook 02, which always runs
#: On what musicnn hears, which learned from other music; of notebook 05, and of recordings alone.
PRETRAINED = ("pretrained", "pretrained_fusion", "pretrained_tuned")
AUDIO_TEXT = "audio_text"
TEXT = ("text", AUDIO_TEXT)  # on titles; of notebook 05, and of music whose titles are known
PAPER_MODELS = ("cnn", "rnn", "hybrid")  # those of Guo (2024)
ENSEMBLE = "ensemble"
#: Chosen by cross-validation on the ``train`` part of GTZAN's ten genres: see the README.
ENSEMBLE_MEMBERS = ("logistic", "mlp")
#: Regressions that can be exported, and what they read; every network can.
EXPORTED = {
    "logistic": ("features",),
    "pretrained": ("embedding",),
    "pretrained_fusion": ("features", "embedding"),
}

_TUNED = "_tuned"  # how the name of a model ends whose settings were searched
_PAPER = "_paper"  # and of one with the paper's setting
MODEL_ORDER = tuple(chain.from_iterable((name, name + _TUNED) for name in (*NETWORKS, *CLASSICAL)))
MODEL_ORDER += (*PRETRAINED, ENSEMBLE)  # as stored searches know it: what is newer comes after
ALL = (*MODEL_ORDER, *TEXT)
NOT_HEARING = (ENSEMBLE, *TEXT)  # made of other models, or on titles


def tuned(name: str) -> str:
    """Name of a network with searched settings."""
    return name + _TUNED


def is_tuned(name: str) -> bool:
    """Whether a name is that of a network with searched settings."""
    return name.endswith(_TUNED)


def untuned(name: str) -> str:
    """Network that a name stands for: ``cnn`` for both ``cnn`` and ``cnn_tuned``."""
    return name.removesuffix(_TUNED)


def as_in_paper(name: str) -> str:
    """Name of one of `PAPER_MODELS` with the paper's own setting."""
    return name + _PAPER


def is_as_in_paper(name: str) -> bool:
    """Whether a name is that of a network with the paper's own setting."""
    return name.endswith(_PAPER)


def family(name: str) -> str:
    """Kind of model that a name stands for: ``cnn``, also for ``cnn_tuned`` and ``cnn_paper``."""
    return untuned(name).removesuffix(_PAPER)


def chosen(notebook: str, wanted) -> list[str]:
    """Networks of a notebook that are among the wanted models."""
    return [name for name in NETWORKS_OF[notebook] if name in wanted]


def best_by_sound(models: dict) -> str:
    """Most accurate of the models, as in results.json, that read no titles, if there is one."""
    by_sound = [name for name in models if name not in TEXT]
    return max(by_sound or models, key=lambda name: models[name]["accuracy"])


def place(name: str) -> int:
    """Place of a model in tables and figures: those of one's own come last."""
    return ALL.index(name) if name in ALL else len(ALL)


#: What a model is and what it hears, by the name of its family.
DESCRIPTIONS = {
    "cnn": ("convolutional network", "spectrogram"),
    "cnn1d": ("convolutions along time alone", "spectrogram"),
    "rnn": ("bidirectional simple recurrent network", "spectrogram"),
    "gru": ("bidirectional GRU", "spectrogram"),
    "lstm": ("bidirectional LSTM", "spectrogram"),
    "hybrid": ("CNN, then a recurrent layer", "spectrogram"),
    "hybrid_parallel": ("CNN and RNN side by side", "spectrogram"),
    "mlp": ("dense network", "feature statistics"),
    "fusion": ("CNN beside a dense network", "spectrogram and feature statistics"),
    "dbn": ("deep belief network", "feature statistics"),
    "svm": ("support vector machine", "feature statistics"),
    "logistic": ("logistic regression", "feature statistics"),
    "knn": ("k nearest neighbours", "feature statistics"),
    "pretrained": ("logistic regression on musicnn", "embeddings of a pretrained network"),
    "pretrained_fusion": ("logistic regression on both", "embeddings and feature statistics"),
    "pretrained_tuned": ("musicnn, trained further", "spectrogram"),
    "text": ("logistic regression on words", "titles"),
    AUDIO_TEXT: ("logistic and text, multiplied", "feature statistics and titles"),
    ENSEMBLE: (f"mean of {' and '.join(ENSEMBLE_MEMBERS)}", "feature statistics"),
}


def described(name: str) -> tuple[str, str]:
    """What a model is, in a few words, and what it hears; of one's own models, nothing."""
    words, hears = DESCRIPTIONS.get(family(name), ("", ""))
    setting = ", the paper's setting" if is_as_in_paper(name) else ""
    setting += ", settings searched" if is_tuned(name) else ""
    return words + setting, hears
