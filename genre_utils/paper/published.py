"""TODO paper.published."""

import pandas as pd

MODELS = ("cnn", "rnn", "hybrid")
GENRES = ("rock", "pop", "classical", "jazz")
METRICS = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1"}
SETTINGS = {
    "learning_rate": "learning rate",
    "batch_size": "batch size",
    "hidden_layers": "hidden layers",
}
PAPER = pd.DataFrame(
    [
        (0.92, 0.88, 0.75, 0.86, 0.93, 0.91, 0.85, 0.87, 1.5, 0.001, 32, 4),
        (0.75, 0.72, 0.82, 0.73, 0.81, 0.79, 0.90, 0.80, 2.0, 0.005, 64, 3),
        (0.85, 0.78, 0.68, 0.77, 0.88, 0.83, 0.84, 0.90, 1.8, 0.001, 32, 5),
    ],
    index=pd.Index(MODELS, name="model"),
    columns=[*METRICS.values(), *GENRES, "hours", *SETTINGS.values()],
)
ROUNDING = 0.005  # half a unit of the last digit that the paper prints
CALLED = {"cnn": "CNN", "rnn": "RNN", "hybrid": "hybrid"}
LEVELS = ((0.85, "Excellent"), (0.75, "Good"), (0.60, "Average"), (0.0, "Poor"))
UNSURE = " (not separable)"
