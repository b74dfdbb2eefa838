"""Notebook 02: decoding, the one pass over a spectrum, the store, what features tell."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
