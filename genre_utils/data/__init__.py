"""Notebook 01: corpora, their audit, fingerprints, downloads, folds and the composer."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
