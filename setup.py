"""What pyproject.toml cannot say: a wheel holds what lies beside the package in a clone."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

#: What commands read; `files.SHIPPED` is where.
SHIPPED = ("notebooks/*.ipynb", "notebooks/*.py", "notebooks/profiles/*.yaml")
SHIPPED += ("benchmarks/*.json", "requirements-nodeps.txt")


class BuildWithNotebooks(build_py):
    """Copies them into the package that is built."""

    def run(self):
        """Build, then copy."""
        super().run()
        for path in () if self.editable_mode else [p for one in SHIPPED for p in Path().glob(one)]:
            place = Path(self.build_lib, "genre_utils", path)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


setup(cmdclass={"build_py": BuildWithNotebooks})
