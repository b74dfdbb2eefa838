"""Shared helpers of the music genre study: a small, flat module.

Data flows one way through it: ``corpus`` -> ``audio`` -> ``features`` -> ``splits`` ->
``models`` and ``training`` -> ``evaluation`` -> ``plots`` and ``report``. Modules are imported
one by one (``from genre_utils import splits``), so that a command that needs no TensorFlow
never pays for importing it.
"""
