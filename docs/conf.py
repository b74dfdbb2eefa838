"""The documentation site: `make docs` builds it of these Markdown files and of the docstrings."""

import ast
import importlib
import os
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

project = "Music genre recognition"
copyright = "the authors, under the MIT licence"
root_doc = "index"
exclude_patterns = ["_build", "_templates"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]

html_theme = "furo"
html_title = project
smartquotes = False
html_show_search_summary = False  # a page opened as a file may not fetch others
html_show_sphinx = html_copy_source = False

# Markdown: links as the forge makes them, to the headings of pages, too
myst_heading_anchors = 3
#: Files outside this folder that are pages of the site.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "data/README.md": "own_music.md",
    "genre_utils/recognition/pretrained/gtzan.md": "model_card.md",
}
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")

# the reference: a page for each package, of the names that it hands on, from their docstrings
templates_path = ["_templates"]
autodoc_typehints = "none"  # docstrings have them, with shapes and units
autodoc_member_order = "bysource"
add_module_names = False
default_role = "literal"
numpydoc_show_class_members = False
_LONGEST = 80  # characters of a constant that is shown


def handed_on(package):
    """Names that a package hands on, with where each is defined and the directive for its kind."""
    face = importlib.import_module(package)
    stub = Path(face.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    for statement in ast.parse(stub).body:
        for alias in statement.names:
            value = getattr(face, alias.name)
            place = ".".join(filter(None, (package, statement.module, alias.name)))
            yield alias.name, place, *_directive(value)
            if isinstance(value, type) and value.__name__ != alias.name:  # called otherwise here
                yield value.__name__, f"{value.__module__}.{value.__name__}", *_directive(value)


def _directive(value):
    if isinstance(value, type(ast)):
        return "automodule", "members"
    if isinstance(value, type):
        return "autoclass", "members"
    if callable(value):
        return "autofunction", ""
    return "autodata", "" if len(repr(value)) <= _LONGEST else "no-value"


def _links_from_here(text, folder):
    """Markdown whose links, relative to `folder`, lead to the same files or their pages here."""

    def moved(found):
        path = Path(os.path.normpath(folder / found.group(1)))
        inside = path.is_relative_to(ROOT) and path.relative_to(ROOT).as_posix()
        return PAGES.get(inside) or Path(os.path.relpath(path, DOCS)).as_posix()

    return _LINK.sub(moved, text)


def _on_source_read(_app, docname, content):
    if (DOCS / f"{docname}.md").is_file():
        content[0] = _links_from_here(content[0], DOCS)


def _on_include_read(_app, path, _docname, content):
    content[0] = _links_from_here(content[0], (DOCS / path).parent)


_STUBS = (ROOT / "genre_utils").rglob("__init__.pyi")
_PACKAGES = [".".join(path.parent.relative_to(ROOT).parts) for path in _STUBS]
autosummary_context = {"faces": {package: [*handed_on(package)] for package in _PACKAGES}}


def setup(app):
    """Have links followed from where a text lies."""
    app.connect("source-read", _on_source_read)
    app.connect("include-read", _on_include_read)
