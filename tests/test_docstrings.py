"""What notebooks call is documented, whole and in NumPy's style, and its examples run."""

import doctest
import importlib
import inspect

import pytest
from numpydoc.validate import validate

PACKAGES = ("data", "data.composer", "evaluation", "features", "interpretation", "models")
PACKAGES += ("paper", "plots", "recognition", "report.sentences")
#: Checks of numpydoc; left out are those of texts around sections that nothing here needs.
CHECKS = {"GL03", "GL05", "GL06", "GL07", "GL08", "GL10", "SS01", "SS02", "SS03", "SS04", "SS05"}
CHECKS |= {"PR01", "PR02", "PR03", "PR04", "PR05", "PR07", "RT01", "RT03", "RT04", "YD01"}
#: Examples that are run, at least.
EXAMPLES = 10


def handed_on():
    """Each function or class that a package hands on, and where it is defined."""
    for package in PACKAGES:
        module = importlib.import_module(f"genre_utils.{package}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{value.__module__}.{value.__qualname__}"


NAMES = sorted(set(handed_on()))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_handed_on_is_documented(name):
    # what every plot and every sentence returns is said once, by its package
    alike = name.startswith(("genre_utils.plots.", "genre_utils.report.sentences."))
    checks = CHECKS - {"RT01"} if alike else CHECKS
    errors = [f"{code}: {text}" for code, text in validate(name)["errors"] if code in checks]
    assert not errors


def test_examples_say_what_comes_out():
    tried = 0
    for module in sorted({name.rpartition(".")[0] for name in NAMES}):
        result = doctest.testmod(importlib.import_module(module))
        assert not result.failed, module
        tried += result.attempted
    assert tried >= EXAMPLES
