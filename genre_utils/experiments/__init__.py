"""Notebook 06: what is trained anew to be measured, from ablation to transfer."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
