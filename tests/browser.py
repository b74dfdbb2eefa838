"""A real browser for the tests, and what every page of a report has to stand up to in it."""

import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)
MOST_BYTES = 1_000_000  # of a page, not counting its sounds
APPENDIX_BYTES = 3_000_000  # of the one that holds the galleries of all others
LONGEST_CLIP_S = 10.2  # 10 s, and what a codec adds at the ends


@pytest.fixture(scope="session", name="browser")
def browser_fixture():
    """Chromium, headless; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium or Chrome on the PATH")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=list(OPTIONS))
        yield chromium
        chromium.close()


@pytest.fixture(name="page")
def page_fixture(browser):
    """Give a fresh page whose `complaints` hold network requests and console errors."""
    page = browser.new_page()
    page.complaints = []
    page.on("request", lambda request: _note_request(page, request.url))
    page.on("console", lambda message: _note_console(page, message))
    page.on("pageerror", lambda error: page.complaints.append(f"error: {error}"))
    yield page
    page.close()


def _note_request(page, url):
    if not url.startswith(("file:", "data:")):
        page.complaints.append(f"request: {url}")


def _note_console(page, message):
    if message.type in ("error", "warning"):
        page.complaints.append(f"console: {message.text}")


def check_page(page, path: Path, *, synthetic: bool, named: str = "") -> None:
    """Open a report page at two widths and fail on anything a reader would trip over.

    `named` is part of a file's name, which looks like a formula and is none.
    """
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(path.resolve().as_uri())
        spill = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert spill <= 0, f"{path.name} is {spill} px too wide at {width} px"
        _check_formulas_fit(page, path, width)
    assert page.locator("h1").count() == 1, f"{path.name} needs exactly one h1"
    _check_banner(page, path, synthetic)
    _check_tab_stops(page, path)
    _check_accessible(page, path)
    _check_code(page)
    _check_formulas(page, named)
    _check_figures(page)
    _check_links(page, path)
    _check_sounds(page)
    _check_size(page, path)
    assert not page.complaints, f"{path.name}: {page.complaints}"


def _check_banner(page, path, synthetic):
    first = page.locator("body > :not(.skip)").first.inner_text()
    assert first.startswith("Composed music.") == synthetic, f"{path.name} begins with {first!r}"
    if synthetic:
        assert page.locator(".banner").first.is_visible()


def _check_tab_stops(page, path):
    """Whatever scrolls sideways can be reached by the keyboard, and nothing else stops there."""
    script = """all => all.filter(box => {
        const scrolls = box.scrollWidth > box.clientWidth + 1;
        return scrolls != (box.tabIndex >= 0);
    }).map(box => box.outerHTML.slice(0, 80))"""
    wrong = page.locator(".wide, pre, .math").evaluate_all(script)
    assert not wrong, f"{path.name}: tab stops differ from what scrolls: {wrong}"


def _check_accessible(page, path):
    """axe-core finds nothing to complain of."""
    found = Axe().run(page).response["violations"]
    told = [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found]
    assert not told, f"{path.name}: {told}"


def _check_code(page):
    blocks, button = page.locator("details.code"), page.locator("#all-code")
    if blocks.count() == 0:
        return
    code = blocks.first.locator(".highlight")
    assert not blocks.first.is_visible(), "code is not hidden at first"
    button.click()
    assert code.is_visible(), "a click on the button does not show the code"
    assert page.locator("details.code:not([open])").count() == 0, "not all code is shown"
    button.click()
    assert not blocks.first.is_visible(), "code is not hidden again"


def _check_formulas(page, named):
    unread = page.locator("code.formula").all_inner_texts()
    assert not unread, f"formulas that latex2mathml cannot read: {unread}"
    prose = page.locator("main :is(p, li, td, h1, h2, h3)").all_inner_texts()
    prose = [text.replace(named, "") for text in prose]
    raw = [text for text in prose if "$$" in text or "\\frac" in text or text.count("$") > 1]
    assert not raw, f"formulas left as LaTeX: {raw}"


def _check_formulas_fit(page, path, width):
    """Each formula is as wide as its place at most, or scrolls there from its first sign on."""
    script = """all => all.filter(formula => {
        const place = formula.closest(".math") ?? formula.closest("p, li, td, th, h2, h3, main");
        const scrolls = getComputedStyle(place).overflowX === "auto" || place.closest(".wide");
        const bounds = place.getBoundingClientRect();
        const parts = [...formula.querySelectorAll("*")].map(part => part.getBoundingClientRect());
        const left = Math.min(...parts.map(part => part.left));
        const right = Math.max(...parts.map(part => part.right));
        return left < bounds.left - 2 || (right > bounds.right + 2 && !scrolls);
    }).map(formula => formula.textContent)"""
    cut = page.locator("main math").evaluate_all(script)
    assert not cut, f"{path.name}: formulas are cut at {width} px: {cut}"


def _check_figures(page):
    figures = page.locator("img").evaluate_all("all => all.map(i => [i.alt, i.naturalWidth])")
    assert all(alt for alt, _ in figures), "a figure has no alternative text"
    assert all(width for _, width in figures), "a figure cannot be drawn"


def _check_links(page, path):
    for href in page.locator("a[href]").evaluate_all("all => all.map(a => a.getAttribute('href'))"):
        parts = urlsplit(href)
        if parts.scheme or parts.netloc:
            continue
        assert not parts.path or (path.parent / unquote(parts.path)).exists(), f"{href} is missing"
        if parts.fragment and not parts.path:
            found = page.evaluate("id => !!document.getElementById(id)", unquote(parts.fragment))
            assert found, f"{href} leads nowhere on {path.name}"


def _check_sounds(page):
    script = """all => Promise.all(all.map(a => new Promise(done => {
        const tell = () => done([a.currentSrc.slice(0, 15), a.duration]);
        if (a.readyState > 0) return tell();
        a.onloadedmetadata = tell; setTimeout(tell, 3000); a.preload = "metadata"; a.load();
    })))"""
    for source, seconds in page.locator("audio").evaluate_all(script):
        assert source.startswith("data:audio/"), f"a sound comes from {source}"
        assert "wav" not in source, "a sound is not compressed"
        assert seconds and seconds <= LONGEST_CLIP_S, f"a sound lasts {seconds} s"


def _check_size(page, path):
    script = "all => all.reduce((sum, a) => sum + a.outerHTML.length, 0)"
    size = path.stat().st_size - page.locator("audio").evaluate_all(script)
    most = APPENDIX_BYTES if path.stem == "appendix" else MOST_BYTES
    assert size < most, f"{path.name} has {size} bytes without its sounds"
