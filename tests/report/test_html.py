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
from genre_utils.report import html
from genre_utils.workspace.study_folder import StudyFolder

PAGES = ["01_one", "02_two", "03_three"]
EVIL = "<script>alert(1)</script>"
CUT_FORMULA = (
    f"<span class='math' style='overflow:hidden'><math><mtext>{'x' * 500}</mtext></math></span>"
)
ABOUT = {"alt": "A", "caption": "B.", "width": 600}
GENRES = ["rock", "jazz"]
CORPUS = {
    **{"name": "synthetic", "synthetic": True, "tracks": 396, "artists": 88, "version": "1"},
    **{"genres": GENRES, "sha256": "0123456789abcdef" * 4},
    **{"group_by": "artist", "protocol": "cv", "folds": 10, "banner": None, "set_aside": 4},
    "warnings": [f"artist {EVIL} is odd"],
}


def png() -> str:
    figure, content = Figure(figsize=(12, 3)), io.BytesIO()
    figure.subplots().plot([0, 1], [0, 1])
    figure.savefig(content, format="png", dpi=100)  # whatever style another test has set
    return base64.encodebytes(content.getvalue()).decode()


def clip() -> str:
    content = io.BytesIO()
    soundfile.write(content, [0.0, 0.1] * 8000, 8000, format="OGG")
    data = base64.b64encode(content.getvalue()).decode()
    return f'<audio controls><source src="data:audio/ogg;base64,{data}" type="audio/ogg"></audio>'


def shown(data: dict, about: dict | None = None):
    return new_output("display_data", data, metadata=about or {})


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
        new_markdown_cell(
            f"## Training\n\n{wide}\n\n## Training\n\nSee [03](03_three.ipynb#Why) and "
            "[04](04_four.ipynb)."
        ),
        code(
            "# train it\nprint(1)",
            new_output("stream", name="stdout", text=f"seen {EVIL} " + "y" * 300),
            new_output("stream", name="stderr", text="WARNING oneDNN"),
            new_output("stream", name="stdout", text="and done"),
        ),
        code("table", shown({"text/html": table.to_html(), "text/plain": "table"})),
        code("axes.plot()", shown({"text/plain": "[<Axes: title='cnn'>]"})),
        code("figure", shown({"image/png": png()}, {"image/png": ABOUT})),
        code("old", shown({"image/png": png(), "text/plain": "<Figure size 1200x300>"})),
        code("2 + 2", shown({"text/plain": "four"}), tags=["summary"]),
        code("details", shown({"text/plain": "all of it"}), tags=["appendix"]),
        new_markdown_cell("**How it is done.** With care.", metadata={"tags": ["folded"]}),
        code("play", shown({"text/html": clip(), "text/plain": "<Audio>"})),
        code("script", shown({"application/javascript": "alert(2)", "text/plain": "Javascript"})),
        code("say", shown({"text/markdown": f"## By {EVIL}\n\n$y$", "text/plain": "Markdown"})),
        code("1/0", new_output("error", ename="ValueError", evalue="no", traceback=traceback)),
    ]
    metadata = {"papermill": {"start_time": "2025-11-22T17:40:11.1"}}
    return new_notebook(cells=cells, metadata=metadata)


def plain_notebook(title: str):
    cells = [new_markdown_cell(f"# {title}\n\nAbout {title}.\n\n## Why\n\nSo."), code("1 + 1")]
    return new_notebook(cells=cells)


def model(accuracy: float, **others) -> dict:
    bounds = [accuracy - 0.05, accuracy + 0.04]
    common = {"ci95": dict.fromkeys(("accuracy", "f1", "excerpt_accuracy"), bounds)}
    common |= {"f1": accuracy, "excerpt_accuracy": accuracy - 0.1, "known_artists": None}
    common |= {"training_cpu_seconds": 90.0, "parameters": 1234567}
    recalls = {"recall": accuracy, "ci95": {"recall": bounds}}
    common |= {"confusion": [[9, 3], [1, 7]], "per_genre": dict.fromkeys(GENRES, recalls)}
    return {"accuracy": accuracy} | common | others


def pair(a, b, difference, ci95, p_value, **others):
    names = {"a": a, "b": b, "difference": difference, "ci95": ci95, "p_value": p_value}
    return names | {"p_holm": None, "primary": False, "separable": False} | others


def claim(verdict, **others):
    blank = dict.fromkeys(("found", "value", "ci95", "share", "needs"))
    about = {"topic": "Order", "claim": f"A claim, {verdict}.", "rule": "pair"}
    return about | {"verdict": verdict} | blank | others


AUDIT = {
    "evidence": True,
    "why": "",
    "arithmetic": {"checked": 15, "inconsistent": 10},
    "claims": [
        claim("not reproduced", value=-0.123, ci95=[-0.2, -0.05]),
        claim("not significantly different", value=0.714, ci95=[0.6, 0.8], rule="level"),
        claim("not reproduced", value=-3.21, ci95=[-5.0, -1.0], rule="time"),
        claim("not measured", needs="--profile long"),
    ],
}
RESULTS = {
    "profile": "demo",
    "corpus": CORPUS,
    "models": {
        "rnn": model(0.61, parameters=None, training_cpu_seconds=None),
        **{"cnn": model(0.83), "svm": model(0.8)},
    },
    "pairwise": [
        pair("cnn", "svm", 0.03, [-0.02, 0.08], 0.31),
        pair("rnn", "cnn", -0.22, [-0.3, -0.1], 0.0001, separable=True),
    ],
    "leakage": {
        **{"segment": 0.91, "track": 0.84, "artist": 0.73},
        "ci95": {"segment": [0.9, 0.92], "track": [0.8, 0.9], "artist": [0.7, 0.8]},
        "pairwise": [pair("segment", "artist", 0.18, [0.12, 0.24], 0.001)],
    },
    "environment": {"python": "3.12.3", "cpu": f"fast {EVIL}", "threads": 2, "tensorflow": None},
    "audit": AUDIT,
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Give a study with its pages, only to be read."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "notebooks").mkdir()
    write_tables(folder, RESULTS["models"])
    (folder / "corpus.json").write_text(json.dumps(CORPUS))
    (folder / "results.json").write_text(json.dumps(RESULTS))
    notebooks = plain_notebook("One"), rich_notebook(), plain_notebook("Three & more")
    for name, notebook in zip(PAGES, notebooks, strict=True):
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    written = render(folder)
    expected = [f"{name}.html" for name in (*PAGES, "appendix", "index")]
    assert [path.name for path in written] == expected
    return folder


def write_tables(folder, models):
    """Write tracks and folds, and the same predictions for each model."""
    tracks = pd.DataFrame({"track_id": ["a", "b", "c"], "genre": ["rock", "rock", "jazz"]})
    tracks["artist"], tracks["status"], tracks["split"] = ["A", "unknown:b", "C"], "used", ""
    study = StudyFolder(folder)
    folds = tracks[["track_id"]].assign(fold=0, part="test", group=["A", "b", "C"])
    study.write(tracks=tracks, folds=folds)
    predicted = tracks[["track_id"]].assign(
        excerpt=0, fold=0, y_true=tracks["genre"], p_rock=[0.9, 0.2, 0.1], p_jazz=[0.1, 0.8, 0.9]
    )
    for name in models:
        (folder / "predictions").mkdir(exist_ok=True)
        predicted.to_parquet(folder / "predictions" / f"{name}.parquet")


def render(folder):
    said = {"about": "What the profile is for.", "command": "make study PROFILE=demo"}
    return html.render_study(StudyFolder(folder), profile="demo", **said)


@pytest.fixture
def study(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "study")


def soup_of(path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture
def rich(rendered):
    return soup_of(rendered / "02_two.html")


def test_formulas_become_mathml():
    assert html._formula("x_i", "inline").startswith("<math")
    assert 'display="block"' in html._formula(r"\begin{aligned} a &= b \end{aligned}", "block")
    assert "<mtext>mel</mtext>" in html._formula(r"x_\mathrm{mel}", "inline")


@pytest.mark.parametrize("latex", ["x^", r"\foo{a}", r"\text{a<b}"])
def test_a_formula_that_cannot_be_read_is_shown_as_it_is(latex):
    assert html._formula(latex, "block").startswith('<code class="formula">')


def test_columns_of_numbers_are_marked():
    table = pd.DataFrame({"genre": ["rock", "pop"], "f1": [0.5, None], "ci": ["0.1 to 0.2"] * 2})
    soup = BeautifulSoup(html._aligned_tables(table.to_html(), {}), "html.parser")
    marked = [cell.get_text() for cell in soup.select("thead .num")]
    assert marked == ["", "f1", "ci"]  # the first is the index
    assert "num" not in soup.find("td", string="rock").get("class", [])


def test_figures_keep_their_pixels():
    small = base64.b64decode(html._webp(png()))
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
    images = [(image["alt"], image.get("width")) for image in rich.select("img")]
    assert images == [("A", "600"), ("Figure: Training", None)]
    assert [text.get_text() for text in rich.select("figcaption")] == ["Figure 1. B."]
    assert len(rich.select("main pre.output")) == 2, "the parts of stdout are joined"
    assert rich.select_one(".wide table.dataframe tbody td.num").get_text() == "0.50"


def test_the_result_comes_first_and_the_rest_apart(rendered, rich):
    first = rich.main.h1.find_next("section")
    assert first["class"] == ["summary"] and first.select_one("pre.output").get_text() == "four"
    assert "all of it" not in rich.get_text()
    appendix = soup_of(rendered / "appendix.html").main
    place = rich.find("a", string="More in the appendix")["href"].removeprefix("appendix.html#")
    shown = appendix.find(id=place).find_parent("h3").find_next("pre", class_="output")
    assert shown.get_text() == "all of it"
    folded = rich.select_one("details.method")
    assert folded.summary.get_text() == "How it is done" and "With care." in folded.get_text()


def test_code_is_labelled(rich):
    labels = [summary.get_text(" ", strip=True) for summary in rich.select(".code summary")]
    assert "Code imports 1 line" in labels and "Code train it 2 lines" in labels
    assert {"Parameters defaults 1 line", "Parameters set for this run 1 line"} <= {*labels}


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
    assert html._label(code(source)) == ("Code", hint)


def test_long_texts_in_tables_may_be_broken():
    table = pd.DataFrame({"family": ["mfcc"], "meaning": ["the shape of the spectrum " * 4]})
    soup = BeautifulSoup(html._aligned_tables(table.to_html(), {}), "html.parser")
    assert [cell.get_text()[:9] for cell in soup.select(".long")] == ["the shape"]


def test_formulas_bring_their_font(rendered):
    style = soup_of(rendered / "02_two.html").style.get_text()
    font = re.search(r"data:font/woff;base64,([\w+/=]+)", style).group(1)
    assert base64.b64decode(font)[:4] == b"wOFF"


def test_headings_and_links(rich):
    assert [a["href"] for a in rich.select(".toc a")][:2] == ["#Training", "#Training~1"]
    assert rich.find("a", string="03")["href"] == "03_three.html#Why"
    assert rich.find("a", string="04") is None and "and 04." in rich.get_text()  # it has not run
    assert [a["href"] for a in rich.select("a[rel=prev]")] == ["01_one.html"] * 2
    assert [a["href"] for a in rich.select("a[rel=next]")] == ["03_three.html"] * 2
    assert "Three & more" in rich.select_one("a[rel=next]").get_text()
    assert rich.title.get_text() == "Networks · Music genre recognition on composed music"
    assert "0123456789ab" in rich.footer.get_text() and "2025-11-22 17:40" in rich.footer.get_text()


def index_of(folder, results=None, corpus=None):
    """Index page of a study after some of its files were replaced."""
    if corpus:
        (folder / "corpus.json").write_text(json.dumps(corpus))
    if results:
        (folder / "results.json").write_text(json.dumps(results))
    return soup_of(render(folder)[-1])


def words_of(soup):
    return " ".join(soup.get_text().replace("\xa0", " ").split())


def test_the_index_opens_with_the_music_and_the_finding(rendered):
    soup = soup_of(rendered / "index.html")
    assert soup.h1.get_text() == "Music genre recognition on composed music"
    text = words_of(soup)
    assert "3 tracks of two genres (rock, jazz) by 2 known artists and 1 track of unknown" in text
    assert (
        "cnn classifies 83 % of whole tracks correctly, by artists that it has never heard (95 % "
        "interval 78 % to 87 %; chance level 50 %). Of the others, only rnn is"
    ) in text
    assert "adds 18 points (12 to 24) of leakage" in text
    assert "no number here is evidence about genres" in text


def test_the_index_tells_the_numbers(rendered):
    soup = soup_of(rendered / "index.html")
    tables = [
        [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in table.select("tr")]
        for table in soup.select("table")
    ]
    interval = "0.83 [0.78,\xa00.87]"
    described = "convolutional network: spectrogram"
    assert tables[0][1] == ["cnn", described, interval, interval, "1.5 min", "1,234,567"]
    assert tables[0][-1][-2:] == ["", ""], "a time that is not known is not told"
    assert [table[1] for table in tables[1:]] == [
        ["rock", "9", "3", interval], ["rock", "9", "3", "0.80 [0.75,\xa00.84]"]
    ]  # fmt: skip
    text = words_of(soup.main)
    assert f"fast {EVIL}" in text and "tensorflow not installed" in text
    dots = [dot["style"] for dot in soup.select(".dot")]
    assert dots == [f"left:{x}.00%" for x in (83, 80, 61)]


def test_the_cost_of_a_searched_model_says_what_is_not_in_it(study):
    assert "without the search" not in words_of(index_of(study, RESULTS))
    models = RESULTS["models"] | {"cnn_tuned": RESULTS["models"]["cnn"]}
    shutil.copy(study / "predictions" / "cnn.parquet", study / "predictions" / "cnn_tuned.parquet")
    soup = index_of(study, RESULTS | {"models": models})
    assert "CPU time of training all folds, without the search of settings." in words_of(soup)


def test_the_papers_numbers_stand_beside_ours_where_the_genres_are_its_own(study):
    genres = ["rock", "pop", "classical", "jazz"]
    recalls = {"recall": 0.5, "ci95": {"recall": [0.4, 0.6]}}
    odd = {"per_genre": dict.fromkeys(genres, recalls), "confusion": [[1] * 4] * 4}
    models = {name: one | odd for name, one in RESULTS["models"].items()}
    corpus = CORPUS | {"genres": genres}
    soup = index_of(study, RESULTS | {"models": models, "corpus": corpus}, corpus)
    marks = [mark["style"] for mark in soup.select(".claim")]
    assert marks == ["left:92.00%", "left:75.00%"]  # what the paper says of cnn and rnn


def test_the_index_leads_to_the_pages_and_the_numbers(rendered):
    soup = soup_of(rendered / "index.html")
    pages = [(a["href"], a.get_text()) for a in soup.select(".pages a")]
    assert pages[1:3] == [("02_two.html", "Networks"), ("03_three.html", "Three & more")]
    assert [pre.get_text() for pre in soup.select("pre")] == ["make study PROFILE=demo"]
    for link in soup.select("a[download]"):
        assert (rendered / link["href"]).exists()
    table = pd.read_csv(rendered / "predictions.csv")
    assert list(table.columns)[:3] == ["model", "track_id", "fold"] and len(table) == 9


def test_composed_music_gives_no_verdicts(study):
    why = "The music is composed."
    judged = AUDIT | {"evidence": False, "why": why, "claims": [claim(None)]}
    assert words_of(index_of(study, RESULTS | {"audit": judged})).count(why) == 1


def test_what_a_study_lacks_is_listed_once_and_left_out_of_its_page(study):
    lacks = shown({"text/markdown": "**Loudness.** It needs recordings."},
                  {"text/markdown": {"absent": True}})  # fmt: skip
    notebook = plain_notebook("One")
    section = [new_markdown_cell("## 2. How loud?\n\nProse."), code("loud()", lacks)]
    notebook.cells += [*section, new_markdown_cell("## 3. Further\n\nMore.")]
    nbformat.write(notebook, study / "notebooks" / "01_one.ipynb")
    index = index_of(study)
    assert "Loudness. It needs recordings." in words_of(index.find(id="absent").parent)
    page = soup_of(study / "01_one.html")
    assert [h.get_text() for h in page.select("h2")] == ["Why#", "Further#"]
    assert "Loudness" not in page.get_text()


def test_artists_on_both_sides_are_not_called_unheard(study):
    shared = CORPUS | {"group_by": "track"}
    soup = index_of(study, RESULTS | {"corpus": shared}, shared)
    assert "artists that it may have heard" in words_of(soup)
    assert "Artists may be in both training and test" in words_of(soup.find(id="limits").parent)


def test_an_unfinished_study_says_so(study):
    (study / "results.json").unlink()
    text = render(study)[-1].read_text(encoding="utf-8")
    assert "not finished" in text and 'href="results.json"' not in text
    assert soup_of(study / "index.html").find(id="warnings")  # other pages lead there


def large_results(count, genres):
    """Results of many models on many genres, with nothing that may be missing."""
    names = [f"genre {k}" for k in range(genres)]
    corpus, recalls = CORPUS | {"genres": names}, {"recall": 0.5, "ci95": {"recall": [0.4, 0.6]}}
    odd = {"per_genre": dict.fromkeys(names, recalls), "confusion": [[20] * genres] * genres}
    models = ["cnn", "hybrid_parallel", "a_model_with_a_rather_long_name", *map(str, range(20))]
    models = {name: model(0.8, **odd) for name in models[:count]}
    return RESULTS | {"corpus": corpus, "models": models, "pairwise": []}, corpus


@pytest.mark.parametrize(("count", "genres"), [(1, 2), (14, 10)])
def test_the_index_fits_a_phone_with_any_number_of_models(study, page, count, genres):
    results, corpus = large_results(count, genres)
    write_tables(study, results["models"])
    results |= {"leakage": None, "audit": None} if count == 1 else {}
    assert not index_of(study, results, corpus).select(".claim")  # the paper's task is another
    check_page(page, study / "index.html", synthetic=True)
    names = page.locator(".bars .name").evaluate_all(
        "all => all.map(e => [e.innerText, e.scrollWidth - e.clientWidth])"
    )
    assert len(names) == min(count, 7) and not [name for name, spill in names if spill > 0]


def test_captions_and_names_of_rows_stay_where_a_table_scrolls(rendered, page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto((rendered / "index.html").as_uri())
    script = "box => (box.scrollLeft = 90, [box.scrollLeft, ...[...box.querySelectorAll("
    script += "'caption, tbody th')].map(e => e.getBoundingClientRect().x - box.offsetLeft)])"
    moved, *places = page.locator(".wide").first.evaluate(script)
    assert moved == 90 and places == [0] * 4


def test_intervals_stay_whole_and_long_names_may_break():
    assert html._breakable("hybrid_x 0.1 [0.2, 0.3]") == "hybrid_<wbr>x 0.1 [0.2,\xa00.3]"
    assert html._breakable(EVIL).startswith("&lt;script")
    table = pd.DataFrame({"model": ["cnn_tuned"], "accuracy": ["0.80 [0.72, 0.86]"]})
    soup = BeautifulSoup(html._aligned_tables(table.to_html(index=False), {}), "html.parser")
    name, accuracy = soup.select("td")
    assert name.wbr and name.get_text() == "cnn_tuned"
    assert accuracy["class"] == ["num"] and "0.72,\xa00.86" in accuracy.get_text()


def test_banners(study):
    corpus = CORPUS | {"synthetic": False, "banner": "Artists unknown.", "warnings": []}
    (study / "corpus.json").write_text(json.dumps(corpus))
    render(study)
    for path in study.glob("*.html"):
        assert [p.get_text() for p in soup_of(path).select(".banner")] == ["Artists unknown."]
        assert "warnings" not in soup_of(path).main.get_text()


def test_pages_in_a_browser(rendered, page):
    for path in sorted(rendered.glob("*.html")):
        check_page(page, path, synthetic=True)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto((rendered / "02_two.html").as_uri())
    assert page.locator("math").count() >= 3
    page.locator("a[rel=next]").first.click()
    assert page.url.endswith("03_three.html")


def test_a_figure_is_enlarged_by_keyboard(rendered, page):
    page.goto((rendered / "02_two.html").as_uri())
    page.locator(".zoom").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog[open] img").get_attribute("alt") == "A"
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_print_shows_what_is_folded(rendered, page):
    page.goto((rendered / "02_two.html").as_uri())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.get_by_text("With care.").is_visible()
    assert not page.locator("details.code").first.is_visible()


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
