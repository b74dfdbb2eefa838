"""Shared helpers of the music genre study: a small, flat module.

Data flows one way through it: ``corpus`` -> ``audio`` -> ``features`` -> ``splits`` ->
``models`` and ``training`` -> ``evaluation`` -> ``plots`` and ``report``. Modules are imported
one by one (``from genre_utils import splits``), so that a command that needs no TensorFlow
never pays for importing it.
"""

import os
import warnings

# Two libraries talk on stderr about nothing that a reader could act on: TensorFlow about the
# instructions it was compiled for, tqdm about widgets that a text progress bar does not need.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore", message="IProgress not found")
