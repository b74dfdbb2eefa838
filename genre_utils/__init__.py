"""A leak-free study of music genre recognition: a package for each notebook.

``data`` (01), ``features`` (02), ``models`` (03 to 05), ``evaluation``, ``experiments`` and
``paper`` (06), ``interpretation`` (07), ``recognition`` (08), and ``plots``, ``report`` and
``workspace``, which serve them all. Imports go one way, and nothing loads TensorFlow before it is
needed.
"""
