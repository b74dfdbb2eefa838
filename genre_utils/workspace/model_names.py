"""TODO workspace.model_names."""

FAMILIES = ("cnn", "cnn1d", "rnn", "gru", "lstm", "hybrid", "hybrid_parallel")
FAMILIES += ("mlp", "fusion", "dbn")
MODEL_ORDER = tuple(name + end for name in FAMILIES for end in ("", "_tuned"))
MODEL_ORDER += ("svm", "logistic", "knn", "ensemble")
