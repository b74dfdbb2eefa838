"""Keys of stored results follow what the code means: words leave them, operators change them."""

import ast
import shutil

import pytest

from genre_utils.workspace import evidence, files

CODE = '''
"""A module."""

import math

from genre_utils.b import tables
from genre_utils.b.tables import SCALE

LIMIT = 3  # a comment
WAYS = {"up": "climb"}


def root(x: float) -> float:
    """Say what it does."""
    name = helper(x) + tables.offset(SCALE)
    return min(name, LIMIT)


def helper(x, factor=2):
    def inner(y):
        return y * factor

    return inner(x) if x else root(x - 1)


def other(x):
    return x - LIMIT
'''
TABLES = """
SCALE, UNUSED = 4, 5


def offset(value):
    from genre_utils import a

    return value + len(a.WAYS)
"""


@pytest.fixture
def key(tmp_path, monkeypatch):
    """Write a small package of two modules and say what keys its two results have."""
    monkeypatch.setattr(evidence.files, "ROOT", tmp_path)
    kinds = {"root": ("a.root",), "other": ("a.other",)}
    monkeypatch.setattr(evidence, "DECIDES", kinds)
    place = tmp_path / "genre_utils" / "b"
    place.mkdir(parents=True)

    def keys(code=CODE, tables=TABLES, **more):
        forget()
        (place.parent / "a.py").write_text(code)
        (place / "tables.py").write_text(tables)
        for name, text in more.items():
            (place / f"{name}.py").write_text(text)
        return {kind: evidence.code(kind) for kind in kinds}

    yield keys
    forget()


def forget():
    evidence.code.cache_clear()
    evidence._module.cache_clear()
    evidence._known.clear()


def in_other_order(code):
    """The same definitions, last ones first."""
    tree = ast.parse(code)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    rest = [node for node in tree.body if node not in imports]
    return ast.unparse(ast.Module([*imports, *reversed(rest)], []))


REWORDED = [
    CODE.replace("Say what it does.", "Tell how."),
    CODE.replace('    """Say what it does."""\n', ""),
    CODE.replace("# a comment", "# another"),
    CODE.replace("x: float) -> float", "x)"),
    CODE.replace("name = helper", "name: float = helper"),
    CODE.replace("LIMIT = 3", "LIMIT: int = 3"),
    CODE.replace("helper", "_assisted"),
    CODE.replace("LIMIT", "MOST"),
    CODE.replace("from genre_utils.b import tables", "from genre_utils.b import tables as t")
    .replace("tables.offset", "t.offset"),
    CODE.replace("return inner(x) if x else root(x - 1)",
                 "return (inner(x)\n            if x else root(x - 1))"),
    in_other_order(CODE),
    CODE + "\n\ndef more():\n    return 1\n",
]  # fmt: skip


@pytest.mark.parametrize("code", REWORDED, ids=range(len(REWORDED)))
def test_rewording_renaming_and_order_leave_every_key(key, code):
    assert code != CODE
    assert key(code) == key()


def test_moving_a_definition_leaves_every_key(key):
    start = CODE.index("def helper")
    end = CODE.index("def other")
    code = CODE[:start] + CODE[end:]
    code = code.replace("import math", "import math\n\nfrom genre_utils.b import helping")
    code = code.replace("helper(x) +", "helping.helper(x) +")
    moved = "from genre_utils import a\n\n" + CODE[start:end].replace("root(", "a.root(")
    assert key(code, helping=moved) == key()


def test_a_name_that_is_handed_on_is_followed(key):
    code = CODE.replace(
        "from genre_utils.b import tables\n", "from genre_utils import b as tables\n"
    )
    (files.ROOT / "genre_utils" / "b" / "__init__.pyi").write_text(
        "from .tables import offset as offset"
    )
    assert key(code) == key()


CHANGED = [
    (CODE.replace("y * factor", "y + factor"), {"root"}),
    (CODE.replace("factor=2", "factor=3"), {"root"}),
    (CODE.replace("x - 1", "x - 2"), {"root"}),
    (CODE.replace("min(", "max("), {"root"}),
    (CODE.replace("x - LIMIT", "x + LIMIT"), {"other"}),
    (CODE.replace("LIMIT = 3", "LIMIT = 3.0"), {"root", "other"}),
    (CODE.replace("LIMIT = 3", "LIMIT = 0"), {"root", "other"}),
    (CODE.replace('"climb"', '"fall"').replace('"up":', '"up": 1, "down":'), {"root"}),
    (CODE.replace("def helper", "@math.cos\ndef helper"), {"root"}),
    (CODE.replace("offset(SCALE)", "offset(LIMIT)"), {"root"}),
    (CODE.replace("import SCALE", "import UNUSED as SCALE"), {"root"}),
]


@pytest.mark.parametrize(("code", "changed"), CHANGED, ids=range(len(CHANGED)))
def test_a_change_of_meaning_changes_what_depends_on_it(key, code, changed):
    before, after = key(), key(code)
    assert {kind for kind in before if before[kind] != after[kind]} == changed


def test_a_change_in_another_module_changes_what_depends_on_it(key):
    before = key()
    assert key(tables=TABLES.replace("value + len", "value - len"))["root"] != before["root"]
    assert key(tables=TABLES.replace("4, 5", "4, 6"))["other"] == before["other"]
    assert key(tables=TABLES.replace("0", "0"))["root"] == before["root"]


def test_zero_nothing_and_false_differ(key):
    keys = [
        key(CODE.replace("LIMIT = 3", f"LIMIT = {v}"))["other"]
        for v in ("0", "None", "False", "''")
    ]
    assert len(set(keys)) == 4


def test_of_source_follows_what_a_notebook_calls(key):
    key()
    source = "from genre_utils import a\nprint(a.root(1))"
    before = evidence.of_source(source)
    assert evidence.of_source(source + "  # a comment") == before
    key(CODE.replace("min(", "max("))
    assert evidence.of_source(source) != before
    key(CODE.replace("x - LIMIT", "x + LIMIT"))
    assert evidence.of_source(source) == before


def test_a_definition_that_is_not_there_is_told(key, monkeypatch):
    key()
    monkeypatch.setitem(evidence.DECIDES, "gone", ("a.gone",))
    with pytest.raises(LookupError, match=r"genre_utils\.a\.gone"):
        evidence.code("gone")


def test_the_keys_of_this_package_follow_its_meaning(tmp_path, monkeypatch):
    """Without comments and layout all keys are the same; with one other operator some are not."""
    before = {kind: evidence.code(kind) for kind in evidence.DECIDES}
    shutil.copytree(files.ROOT / "genre_utils", tmp_path / "genre_utils")
    for path in (tmp_path / "genre_utils").rglob("*.py"):
        path.write_text(ast.unparse(ast.parse(path.read_text(encoding="utf-8"))), encoding="utf-8")
    monkeypatch.setattr(evidence.files, "ROOT", tmp_path)
    forget()
    assert {kind: evidence.code(kind) for kind in evidence.DECIDES} == before
    path = tmp_path / "genre_utils" / "features" / "augmentation.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    one = next(
        node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value == 15.0
    )
    one.value = 2
    path.write_text(ast.unparse(tree), encoding="utf-8")
    forget()
    after = {kind: evidence.code(kind) for kind in evidence.DECIDES}
    assert after["features"] == before["features"]
    assert after["augmentation"] != before["augmentation"]
    forget()


def test_a_module_that_a_package_hands_on_is_that_module():
    handed_on = "from genre_utils import experiments\nexperiments.leakage.compare(1)"
    imported = "from genre_utils.experiments import leakage\nleakage.compare(1)"
    assert evidence.of_source(handed_on) == evidence.of_source(imported)
