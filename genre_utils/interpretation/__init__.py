"""Notebook 07: attribution, permutation, and how the genres relate."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
