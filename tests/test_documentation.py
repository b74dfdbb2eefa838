"""The documentation site: it builds, all links lead somewhere, nothing comes from the network."""

import importlib
import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from genre_utils.workspace import files

DOCS = files.ROOT / "docs"
CARD = files.ROOT / "genre_utils" / "recognition" / "pretrained" / "gtzan.md"
TEXTS = [*files.ROOT.glob("*.md"), *DOCS.glob("*.md"), files.ROOT / "data" / "README.md", CARD]
FACES = [path.parent for path in (files.ROOT / "genre_utils").rglob("__init__.pyi")]
#: Elements that load what they name, unlike a link.
LOADING = {"script", "link", "img", "iframe", "source", "audio", "video", "object", "embed"}


class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.anchors.add(named.get("id"))
        places = [named[key] for key in ("href", "src", "data") if named.get(key)]
        (self.loads if tag in LOADING else self.links).extend(places)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the built site, and its pages by path; warnings and dead references fail."""
    for package in ("myst_parser", "furo"):
        pytest.importorskip(package, reason="for the site: pip install -r requirements-docs.txt")
    place = tmp_path_factory.mktemp("site")
    options = ["-q", "-W", "--keep-going", "-n", "-d", place / "doctrees"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, DOCS, place / "html"],
        env=files.child_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    folder = place / "html"
    return folder, {path: Page(path) for path in folder.rglob("*.html")}


def outside(place):
    parts = urlsplit(place)
    return bool(parts.scheme or parts.netloc)


def test_links_of_the_site_lead_somewhere(site):
    _, pages = site
    dead = []
    for path, page in pages.items():
        for place in filter(lambda place: not outside(place), page.links + page.loads):
            parts = urlsplit(place)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else {unquote(parts.fragment)}
            if not target.exists() or (parts.fragment and unquote(parts.fragment) not in anchors):
                dead.append((path.name, place))
    assert not dead
    assert sum(len(page.links) for page in pages.values()) > 500


def test_the_site_loads_nothing_from_the_network(site):
    folder, pages = site
    loaded = [place for page in pages.values() for place in page.loads]
    styles = [path.read_text(encoding="utf-8") for path in folder.rglob("*.css")]
    loaded += [place for text in styles for place in re.findall(r"url\(['\"]?([^)'\"]+)", text)]
    loaded += [place for text in styles for place in re.findall(r"@import\s+['\"]([^'\"]+)", text)]
    assert len(loaded) > 100
    assert not [place for place in loaded if outside(place) and not place.startswith("data:")]


def heading_anchors(text):
    """Anchors that a forge gives to the headings of a text."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ +(.*)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(files.ROOT).as_posix())
def test_links_of_markdown_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for place in re.findall(r"\]\(([^)\s]+)\)", text):
        parts = urlsplit(place)
        if outside(place):
            assert parts.scheme == "https", place
            continue
        target = path.parent / unquote(parts.path) if parts.path else path
        assert target.exists(), place
        if parts.fragment:
            assert parts.fragment in heading_anchors(target.read_text(encoding="utf-8")), place


@pytest.mark.parametrize("folder", FACES, ids=lambda folder: folder.name)
def test_what_a_package_hands_on_is_in_the_reference(site, folder):
    name = ".".join(folder.relative_to(files.ROOT).parts)
    html, pages = site
    anchors = pages[html / "api" / f"{name}.html"].anchors - {None}
    there = {re.split(r"[.-]", anchor)[-1] for anchor in anchors}
    assert set(importlib.import_module(name).__all__) <= there


def test_the_floors_drawn_are_those_that_are_held_to():
    drawn = (DOCS / "architecture.md").read_text(encoding="utf-8").split("```text\n")[1]
    contracts = tomllib.loads((files.ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    layers = contracts["importlinter"]["contracts"][0]["layers"]
    assert drawn.partition("\n```")[0].splitlines() == layers


def test_the_site_opens_as_files_in_a_browser(site, page):
    _, pages = site
    page.set_viewport_size({"width": 390, "height": 800})
    for path in pages:
        page.goto(path.as_uri())
        spill = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert spill <= 0, f"{path.name} is {spill} px too wide"
    assert not page.complaints


def test_search_finds_leakage_without_a_server(site, page):
    folder, _ = site
    page.goto(f"{(folder / 'search.html').as_uri()}?q=leakage")
    found = page.locator("#search-results li a")  # which come one after the other
    for title in ("Questions and answers", "Methods, and words"):
        found.filter(has_text=title).first.wait_for()
    assert not page.complaints
