import base64
import io
import json
import re
import shutil

import nbformat
import pandas as pd
import pytest
import soundfile
from bs4 import BeautifulSoup
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from browser import check_page
from genre_utils import report

EVIL = "<script>alert(1)</script>"
CUT_FORMULA = (
    f"<span class='math' style='overflow:hidden'><math><mtext>{'x' * 500}</mtext></math></span>"
)
CORPUS = {
    **{"name": "synthetic", "synthetic": True, "tracks": 396, "artists": 88, "version": "1"},
    **{"genres": ["rock", "pop", "classical", "jazz"], "sha256": "0123456789abcdef" * 4},
    **{"group_by": "artist", "protocol": "cv", "folds": 10, "banner": None, "set_aside": 4},
    "warnings": [f"artist {EVIL} is odd"],
}


def png() -> str:
    figure, content = Figure(figsize=(12, 3)), io.BytesIO()
    figure.subplots().plot([0, 1], [0, 1])
    figure.savefig(content, format="png")
    return base64.encodebytes(content.getvalue()).decode()


def clip() -> str:
    content = io.BytesIO()
    soundfile.write(content, [0.0, 0.1] * 8000, 8000, format="OGG")
    data = base64.b64encode(content.getvalue()).decode()
    return f'<audio controls><source src="data:audio/ogg;base64,{data}" type="audio/ogg"></audio>'


def shown(data: dict):
    return new_output("display_data", data)


def code(source: str, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def rich_notebook():
    table = pd.DataFrame({"genre": ["rock", EVIL], "f1": [0.5, 0.75], "long": ["x" * 90] * 2})
    traceback = ["\x1b[0;31mValueError\x1b[0m: no such track"]
    wide = r"$$\hat{x} = \frac{x - \mu}{\sigma}" + " + a + b" * 30 + "$$"
    cells = [
        new_markdown_cell("# Networks\n\nHow far gets a *network* on $x_i$?\n\nMore."),
        code("import numpy as np"),
        code("SEED = 1", tags=["parameters"]),
        code("SEED = 2", tags=["injected-parameters"]),
        new_markdown_cell(f"## Training\n\n{wide}\n\n## Training\n\nSee [03](03_three.ipynb#Why)."),
        code(
            "# train it\nprint(1)",
            new_output("stream", name="stdout", text=f"seen {EVIL} " + "y" * 300),
            new_output("stream", name="stderr", text="WARNING oneDNN"),
            new_output("stream", name="stdout", text="and done"),
        ),
        code("table", shown({"text/html": table.to_html(), "text/plain": "table"})),
        code("axes.plot()", shown({"text/plain": "[<Axes: title='cnn'>]"})),
        code("figure", shown({"image/png": png(), "text/plain": "<Figure size 1200x300>"})),
        code("play", shown({"text/html": clip(), "text/plain": "<Audio>"})),
        code("script", shown({"application/javascript": "alert(2)", "text/plain": "Javascript"})),
        code("say", shown({"text/markdown": f"## By {EVIL}\n\n$y$", "text/plain": "Markdown"})),
        code("1/0", new_output("error", ename="ValueError", evalue="no", traceback=traceback)),
    ]
    metadata = {"papermill": {"start_time": "2025-11-22T17:40:11.1"}}
    return new_notebook(cells=cells, metadata=metadata)


def plain_notebook(title: str):
    cells = [new_markdown_cell(f"# {title}\n\nAbout {title}.\n\n## Why"), code("1 + 1")]
    return new_notebook(cells=cells)


def model(accuracy: float, **others) -> dict:
    bounds = [accuracy - 0.05, accuracy + 0.04]
    common = {"ci95": {"accuracy": bounds}, "f1": accuracy, "excerpt_accuracy": accuracy - 0.1}
    return {"accuracy": accuracy, "training_seconds": 90.0, "parameters": 1234567} | common | others


RESULTS = {
    "models": {"rnn": model(0.61, parameters=None, training_seconds=None), "cnn": model(0.83)},
    "pairwise": [
        *[{"a": "cnn", "b": "hybrid", "difference": 0.03, "ci95": [-0.02, 0.08], "p_value": 0.31}],
        *[{"a": "rnn", "b": "cnn", "difference": -0.22, "ci95": [-0.3, -0.1], "p_value": 0.0001}],
    ],
    "leakage": {"segment": 0.91, "track": 0.84, "artist": 0.73},
    "environment": {"python": "3.12.3", "cpu": f"fast {EVIL}", "tensorflow": None},
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Give a study with its pages, only to be read."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "notebooks").mkdir()
    (folder / "corpus.json").write_text(json.dumps(CORPUS))
    (folder / "results.json").write_text(json.dumps(RESULTS))
    notebooks = {"01_one": plain_notebook("One"), "02_two": rich_notebook()}
    for name, notebook in (notebooks | {"03_three": plain_notebook("Three & more")}).items():
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    assert report.render_study(folder, profile="demo") == folder / "index.html"
    return folder


@pytest.fixture
def study(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "study")


def soup_of(path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture
def rich(rendered):
    return soup_of(rendered / "02_two.html")


def test_formulas_become_mathml():
    assert report.formula("x_i", "inline").startswith("<math")
    assert 'display="block"' in report.formula(r"\begin{aligned} a &= b \end{aligned}", "block")
    assert "<mtext>mel</mtext>" in report.formula(r"x_\mathrm{mel}", "inline")


@pytest.mark.parametrize("latex", ["x^", r"\foo{a}", r"\text{a<b}"])
def test_a_formula_that_cannot_be_read_is_shown_as_it_is(latex):
    assert report.formula(latex, "block").startswith('<code class="formula">')


def test_columns_of_numbers_are_marked():
    table = pd.DataFrame({"genre": ["rock", "pop"], "f1": [0.5, None], "ci": ["0.1 to 0.2"] * 2})
    soup = BeautifulSoup(report.aligned_tables(table.to_html()), "html.parser")
    marked = [cell.get_text() for cell in soup.select("thead .num")]
    assert marked == ["", "f1", "ci"]  # the first is the index
    assert "num" not in soup.find("td", string="rock").get("class", [])


def test_figures_keep_their_pixels():
    small = base64.b64decode(report.webp(png()))
    with Image.open(io.BytesIO(small)) as image:
        assert (image.format, image.size) == ("WEBP", (1200, 300))
    assert len(small) < len(base64.b64decode(png()))


def test_nothing_in_a_page_can_be_fetched_or_run(rendered):
    for path in rendered.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert EVIL not in text, path.name
        assert "alert(2)" not in text and "cdn" not in text, path.name
        assert len(soup_of(path).find_all("script")) == 1, path.name
    assert "alert(1)" in soup_of(rendered / "index.html").find(id="warnings").get_text()


def test_outputs(rich):
    text = rich.main.get_text()
    assert f"seen {EVIL}" in text and "and done" in text
    assert "oneDNN" not in text, "stderr is left out"
    assert "Axes" not in text and "Figure size" not in text and "Javascript" not in text
    assert rich.select_one(".error pre").get_text() == "ValueError: no such track"
    assert rich.img["alt"] == "Figure: Training"
    assert len(rich.select("main pre.output")) == 1, "the parts of stdout are joined"
    assert rich.select_one(".wide table.dataframe td.num").get_text() == "0.50"


def test_code_is_labelled(rich):
    labels = [summary.get_text(" ", strip=True) for summary in rich.select(".code summary")]
    assert labels[:4] == [
        *["Code imports 1 line", "Parameters defaults 1 line"],
        *["Parameters set for this run 1 line", "Code train it 2 lines"],
    ]


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("from a import (\n    b,\n    c,\n)\n\nstart()", "start()"),
        ("# NBVAL_CHECK_OUTPUT\nassert good\nprint(1)", "assert good"),
        ("if ready:\n    go()\nelse:\n    stop()", "go()"),
        ("print(\n    f'{count} tracks'\n)", "f'{count} tracks'"),
        ("import a\n\nfrom a import b", "imports"),
    ],
)
def test_the_hint_of_folded_code_is_its_first_telling_line(source, hint):
    assert report._label(code(source)) == ("Code", hint)


def test_long_texts_in_tables_may_be_broken():
    table = pd.DataFrame({"family": ["mfcc"], "meaning": ["the shape of the spectrum " * 4]})
    soup = BeautifulSoup(report.aligned_tables(table.to_html()), "html.parser")
    assert [cell.get_text()[:9] for cell in soup.select(".long")] == ["the shape"]


def test_formulas_bring_their_font(rendered):
    style = soup_of(rendered / "02_two.html").style.get_text()
    font = re.search(r"data:font/woff;base64,([\w+/=]+)", style).group(1)
    assert base64.b64decode(font)[:4] == b"wOFF"


def test_headings_and_links(rich):
    assert [a["href"] for a in rich.select(".toc a")][:2] == ["#Training", "#Training~1"]
    assert rich.find("a", string="03")["href"] == "03_three.html#Why"
    assert [a["href"] for a in rich.select("a[rel=prev]")] == ["01_one.html"] * 2
    assert [a["href"] for a in rich.select("a[rel=next]")] == ["03_three.html"] * 2
    assert "Three & more" in rich.select_one("a[rel=next]").get_text()
    assert rich.title.get_text() == "Networks · Music genre recognition: a leak-free study"
    assert "0123456789ab" in rich.footer.get_text() and "2025-11-22 17:40" in rich.footer.get_text()


def test_index_tells_the_results(rendered):
    soup = soup_of(rendered / "index.html")
    rows = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in soup.select("tr")]
    assert rows[1] == ["cnn", "0.83", "0.78 to 0.87", "0.83", "0.73", "1.5 min", "1,234,567"]
    assert rows[2][0] == "rnn" and rows[2][-2:] == ["–", "–"]
    text = " ".join(soup.main.get_text().split())
    assert "cnn and hybrid: not separable (difference 0.03, 95 % interval −0.02 to 0.08" in text
    assert "cnn above rnn (difference 0.22, 95 % interval 0.10 to 0.30, p < 0.001" in text
    assert "0.91 of excerpts" in text and f"fast {EVIL}" in text and "not installed" in text
    assert [dot["style"] for dot in soup.select(".dot")] == ["left:83.00%", "left:61.00%"]
    pages = [(a["href"], a.get_text()) for a in soup.select(".pages a")]
    assert pages[1:] == [("02_two.html", "Networks"), ("03_three.html", "Three & more")]
    assert soup.select(".pages p")[1].em.get_text() == "network"


def test_separable_follows_the_results(study):
    pair = {"a": "cnn", "b": "rnn", "difference": 0.05, "ci95": [0.01, 0.09], "p_value": 0.04}
    corrected = pair | {"p_holm": 0.12, "primary": True, "separable": False}
    exploratory = pair | {"p_holm": None, "primary": False, "separable": True}
    results = RESULTS | {"pairwise": [corrected, exploratory], "leakage": None}
    (study / "results.json").write_text(json.dumps(results))
    soup = soup_of(report.render_index(study, profile="demo"))
    assert "p = 0.12 after Holm" in soup.select("main ul > li")[1].get_text().replace("\xa0", " ")
    assert "not separable" in soup.select("main ul > li")[1].get_text()
    assert "cnn above rnn" in soup.find("details").get_text()
    assert "leakage flatter" not in soup.get_text()


def test_an_unfinished_study_says_so(study):
    (study / "results.json").unlink()
    text = report.render_study(study, profile="demo").read_text(encoding="utf-8")
    assert "not finished" in text and 'href="results.json"' not in text


def test_banners(study):
    corpus = CORPUS | {"synthetic": False, "banner": "Artists unknown.", "warnings": []}
    (study / "corpus.json").write_text(json.dumps(corpus))
    report.render_study(study, profile="demo")
    for path in study.glob("*.html"):
        assert [p.get_text() for p in soup_of(path).select(".banner")] == ["Artists unknown."]
        assert "warnings" not in soup_of(path).body.get_text()


def test_pages_in_a_browser(rendered, page):
    for path in sorted(rendered.glob("*.html")):
        check_page(page, path, synthetic=True)
    page.goto((rendered / "02_two.html").as_uri())
    assert page.locator("math").count() >= 3
    page.locator("a[rel=next]").first.click()
    assert page.url.endswith("03_three.html")


def test_pages_without_javascript(rendered, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((rendered / "02_two.html").as_uri())
    assert not page.locator("#all-code").is_visible()
    page.locator("details.code summary").first.click()
    assert page.locator("details.code .highlight").first.is_visible()
    context.close()


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("<img alt='x' src='https://example.org/x.png'>", "drawn"),
        ("<div style='width:2000px'>x</div>", "too wide"),
        ("<p>$$x$$</p>", "LaTeX"),
        (CUT_FORMULA, "formulas are cut"),
        ("<a href='nowhere.html'>x</a>", "missing"),
        ("<script>x = 1</script>", "console"),
        ("<!--" + "x" * 1_000_000 + "-->", "bytes"),
    ],
)
def test_the_browser_checks_can_fail(study, page, fault, complaint):
    path = study / "01_one.html"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("</main>", f"{fault}</main>"), encoding="utf-8")
    with pytest.raises(AssertionError, match=complaint):
        check_page(page, path, synthetic=True)
