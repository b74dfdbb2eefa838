"""Notebooks 03 to 05: networks, their training and tuning, and the classical models beside them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
