"""Make every listing of a folder come in another order, for studies with this on PYTHONPATH."""

import os
import random

_listdir, _scandir = os.listdir, os.scandir


class Shuffled:
    """What `os.scandir` returns, in another order."""

    def __init__(self, entries):
        self.entries = iter(entries)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.entries = iter(())


def listdir(*path):
    found = _listdir(*path)
    return random.Random(len(found)).sample(found, len(found))


def scandir(*path):
    with _scandir(*path) as entries:
        found = list(entries)
    return Shuffled(random.Random(len(found)).sample(found, len(found)))


os.listdir, os.scandir = listdir, scandir
