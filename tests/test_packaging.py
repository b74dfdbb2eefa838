"""What installs is what is required: bounds hold the pins, versions agree, the command is there."""

import importlib
import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from genre_utils.workspace import files

ROOT = files.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
BOUNDS = [Requirement(one) for one in sum(EXTRAS.values(), PROJECT["dependencies"])]
NEEDED = [one for one in BOUNDS if one.name != PROJECT["name"]]
#: Required as another package than the one that installs: the same code in a smaller wheel.
SAME = {"tensorflow-cpu": "tensorflow"}


def normal(name):
    return re.sub(r"[-_.]+", "-", SAME.get(name, name)).lower()


def pins(name):
    """Pinned versions of a requirements file, by name, above its section of tests."""
    text = (ROOT / name).read_text(encoding="utf-8").partition("\n# tests")[0]
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    found = [Requirement(line) for line in lines if "==" in line]
    return {normal(one.name): next(iter(one.specifier)).version for one in found}


PINS = pins("requirements.txt") | pins("requirements-page.txt")


@pytest.mark.parametrize("bound", NEEDED, ids=str)
def test_the_pin_of_what_installs_is_within_its_bound(bound):
    assert bound.specifier.contains(PINS[normal(bound.name)])
    assert {one.operator for one in bound.specifier} == {">=", "<"}


def test_what_is_pinned_installs_with_an_extra():
    assert PINS.keys() - {normal(one.name) for one in NEEDED} == set()


def test_extras_are_made_of_extras_that_there_are():
    own = [one for one in BOUNDS if one.name == PROJECT["name"]]
    assert own and all(one.extras <= EXTRAS.keys() for one in own)


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, when = re.search(r"^## \[([\d.]+)\] - (\S+)$", changes, re.M).groups()
    assert PROJECT["version"] == citation["version"] == version
    assert str(citation["date-released"]) == when


def test_the_command_is_there():
    module, _, name = PROJECT["scripts"]["genre-utils"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_a_licence_is_of_a_file_that_there_is():
    assert all((ROOT / path).is_file() for path in PROJECT["license-files"])
