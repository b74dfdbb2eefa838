"""Notebooks 03 to 05: networks, batches, training, tuning, classical models, cost."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
