"""Notebook 06: the tables and claims of Guo (2024) beside our numbers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
