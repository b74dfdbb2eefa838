"""Executed notebooks, and the first page of a study, as HTML that asks nothing of the network."""

import base64
import hashlib
import io
import re
from html import escape
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from latex2mathml.converter import convert
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat.v4 import new_markdown_cell
from PIL import Image
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from genre_utils.plots import formatting
from genre_utils.report import arrangement, first_page
from genre_utils.workspace import files, model_names
from genre_utils.workspace.study_folder import StudyFolder

APPENDIX_TITLE = "Appendix"
#: Of the forms of an output, that which comes first is shown.
MIME_TYPES = ["text/html", "text/markdown", "image/svg+xml", "image/webp", "image/jpeg"]
MIME_TYPES += ["text/latex", "text/plain"]
TEMPLATE = Path(__file__).parent / "template"
MATH_FONT = TEMPLATE / "math.woff"  # roots and sums need one
DROPPED_TYPES = {"application/javascript", "application/vnd.jupyter.widget-view+json"}
PLOT_REPR = re.compile(r"\s*(array\()?\[*\(?<(Figure|Axes|matplotlib|seaborn|BarContainer)|Text\(")
IMPORT_LIST = re.compile(r"^from [\w.]+ import \([^)]*\)", re.MULTILINE)
SKIPPED_LINE = re.compile(
    r"%|import |from [\w.]+ import|[)\]}]|# NBVAL_|((print|display|Markdown)\()+$|(if|with) .*:$"
)
LONG_TEXT = 32  # characters of a table's cell that may be broken into lines
BRACKETS = re.compile(r"\[[^\[\]]*\]")  # an interval stays on one line
NUMBER = re.compile(r"([-+−–—±\d.,:%×()\[\]\s<]|to|ms|s|min|e(?=[-+\d])|nan|none|<na>)*", re.I)
REFERENCE = re.compile(r"(?<![\w/(])(doi:? ?)(10\.\d{4,}/[^\s,;]*[\w/])|\b(arXiv:)(\d{4}\.\d{4,5})")


def _formula(latex: str, display: str) -> str:
    """Write a LaTeX formula as MathML, "inline" or as a "block"; as it is if it cannot be read."""
    try:
        latex_read = re.sub(r"\\mathrm\{([A-Za-z ]+)\}", r"\\text{\1}", latex.strip())
        mathml = convert(latex_read.replace("{aligned}", "{align*}"), display=display)
        ElementTree.fromstring(mathml)
    except Exception:  # latex2mathml's errors share no base class
        mathml = ""
    if not mathml or re.search(r"<m[io]>\\", mathml):
        return f'<code class="formula">{escape(latex)}</code>'
    return f'<span class="math">{mathml}</span>' if display == "block" else mathml


class _Renderer(IPythonRenderer):
    """Markdown to HTML, with MathML, unique heading ids noted in `headings`, and links to pages."""

    def __init__(self, headings: list, *, pages: set | None = None, **options):
        super().__init__(allow_harmful_protocols=False, **options)
        self.headings, self.pages = headings, pages

    def inline_math(self, body):
        return _formula(body, "inline")

    def block_math(self, body):
        return _formula(body, "block")

    def latex_environment(self, name, body):
        return _formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")

    def heading(self, text, level, **attrs):
        plain = BeautifulSoup(text, "html.parser").get_text()
        slug = arrangement.slug(plain)
        same = sum(taken == slug or taken.startswith(f"{slug}~") for _, taken, _ in self.headings)
        slug = f"{slug}~{same}" if same else slug
        self.headings.append((level, slug, plain))
        link = f'<a class="anchor" href="#{escape(slug)}" aria-label="Link to this section">#</a>'
        return f'<h{level} id="{escape(slug)}">{text}{link if level > 1 else ""}</h{level}>\n'

    def link(self, text, url, title=None):
        if not urlsplit(url).scheme:
            notebook = urlsplit(url).path.removesuffix(".ipynb")
            url = re.sub(r"\.ipynb(?=#|$)", ".html", url)
            if self.pages is not None and notebook[:1].isdigit() and notebook not in self.pages:
                return text  # the study has not run it
        return super().link(text, url, title)

    def table(self, text):
        return f'<div class="wide"><table>{text}</table></div>\n'

    def codespan(self, text):
        what = _model(text)
        title = f' title="{escape(what)}"' if what else ""
        return f"<code{title}>{escape(text)}</code>"


def _model(name: str) -> str:
    """What a model is, for whoever points at its name; nothing if it is no model's."""
    words, hears = model_names.described(name)
    return f"{words} ({hears})" if words else ""


def _linked(found) -> str:
    """Write a DOI or a number of arXiv as a link."""
    doi, number = found[2], found[4]
    address = f"https://doi.org/{doi}" if doi else f"https://arxiv.org/abs/{number}"
    return f"[{found[0]}]({address})"


def _markdown(source: str, headings: list | None = None, **options) -> str:
    """Markdown with formulas, as HTML; the headings met are appended to `headings`."""
    renderer = _Renderer([] if headings is None else headings, **{"escape": False, **options})
    return MarkdownWithMath(renderer=renderer).render(REFERENCE.sub(_linked, source))


def _inline(source: str) -> Markup:
    """Markdown of one sentence, without a paragraph around it."""
    return Markup(re.sub(r"</?p>", "", _markdown(source, escape=True)).strip())


@pass_context
def _markdown_of_page(context, source, trusted=True):
    """Markdown of a cell, or (not trusted: HTML is shown as text) of an output."""
    resources = context["resources"]
    return _markdown(
        source,
        resources["headings"],
        pages=resources["pages"],
        escape=not trusted,
        embed_images=trusted,
        path=resources["metadata"].get("path", ""),
    )


def _exporter() -> HTMLExporter:
    config = Config()
    config.NbConvertBase.display_data_priority = MIME_TYPES
    config.CoalesceStreamsPreprocessor.enabled = True
    place = {"template_name": "template", "extra_template_basedirs": [str(TEMPLATE.parent)]}
    exporter = HTMLExporter(config=config, **place)
    environment = exporter.environment
    environment.autoescape = True
    environment.filters.update(markdown2html=_markdown_of_page, tables=_tables_of_page)
    environment.filters.update(csp_hash=_csp_hash, breakable=_breakable, label=arrangement.label)
    environment.filters.update(inline=_inline)
    environment.globals.update(
        figure_number=_figure_number,
        as_text=formatting.as_text,
        describe=model_names.described,
        parts=arrangement.PARTS,
        math_font=base64.b64encode(MATH_FONT.read_bytes()).decode(),
        light_code=HtmlFormatter(style="default").get_style_defs(".highlight"),
        dark_code=HtmlFormatter(style="github-dark").get_style_defs(".highlight"),
    )
    return exporter


def _csp_hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()


@pass_context
def _figure_number(context) -> int:
    """Number of the next figure of a page."""
    counts = context["resources"]["counts"]
    counts["figure"] += 1
    return counts["figure"]


@pass_context
def _tables_of_page(context, html: str) -> str:
    return _aligned_tables(html, context["resources"]["counts"])


def _aligned_tables(html: str, counts: dict) -> str:
    """Number tables, mark columns of numbers and long texts, say where names may break."""
    if "<table" not in html:
        return html
    soup = BeautifulSoup(html, "html.parser")
    for style in soup.select("style[scoped]"):  # pandas' own
        style.decompose()
    for table in soup.find_all("table"):
        if table.caption:
            counts["table"] += 1
            number = BeautifulSoup(f"<b>Table {counts['table']}.</b> ", "html.parser")
            table.caption.insert(0, number)
        _mark_numbers(table)
        for cell in table.find_all(["th", "td"]):
            text = cell.get_text(strip=True)
            if what := _model(text):
                cell["title"] = what
            if not text:
                cell.name = "td"  # nothing that would head a column
            if cell.name == "td" and len(text) > LONG_TEXT:
                cell["class"] = [*cell.get("class", []), "long"]
        for text in table.find_all(string=re.compile(r"_|\[")):
            text.replace_with(BeautifulSoup(_breakable(text), "html.parser"))
    return str(soup)


def _breakable(text: str) -> Markup:
    """Text of a narrow table as HTML: a name may break after ``_``, an interval may not."""
    whole = BRACKETS.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    return Markup(escape(whole, quote=False).replace("_", "_<wbr>"))


def _mark_numbers(table) -> None:
    """Give every cell of a column (counted from the right) the class num if all hold numbers."""
    body = [row.find_all(["td", "th"])[::-1] for row in table.select("tbody tr, tr:has(td)")]
    head = [row.find_all("th")[::-1] for row in table.select("thead tr")]
    for column in range(max(map(len, body), default=0)):
        cells = [row[column] for row in body if column < len(row)]
        texts = [cell.get_text(strip=True) for cell in cells]
        if any(texts) and all(NUMBER.fullmatch(text) for text in texts):
            cells += [row[column] for row in head if column < len(row)]
            for cell in cells:
                cell["class"] = [*cell.get("class", []), "num"]


def _shown(output) -> bool:
    """Tell whether an output belongs on a page: no stderr, script, widget or plot object's name."""
    if output.output_type == "stream":
        return output.name == "stdout" and bool(output.text.strip())
    data = output.get("data", {})
    if output.output_type == "error":
        return True
    if not data or DROPPED_TYPES & set(data):
        return False
    return set(data) != {"text/plain"} or not PLOT_REPR.match(data["text/plain"])


def _label(cell) -> tuple[str, str]:
    """Name the folded code of a cell: its kind, and its first telling line."""
    tags = cell.metadata.get("tags", [])
    if "injected-parameters" in tags:
        return "Parameters", "set for this run"
    if "parameters" in tags:
        return "Parameters", "defaults"
    source = IMPORT_LIST.sub("", cell.source)
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    telling = [line for line in lines if not SKIPPED_LINE.match(line)]
    first = telling[0].lstrip("# ") if telling else "imports"
    return "Code", first if len(first) <= 60 else first[:59].rstrip() + "…"


def _webp(png: str) -> str:
    """Write a PNG as WebP, lossless or at quality 75 if that is smaller (spectrograms); base64."""
    image, written = Image.open(io.BytesIO(base64.b64decode(png))), []
    for options in ({"lossless": True}, {"quality": 75, "method": 6}):
        image.save(content := io.BytesIO(), format="WEBP", **options)
        written.append(content.getvalue())
    return base64.b64encode(min(written, key=len)).decode()


def _describe(output, heading: str) -> None:
    """Give an output its alternative text, and turn its PNG into a smaller WebP."""
    about = [one for one in output.get("metadata", {}).values() if isinstance(one, dict)]
    said = {key: value for one in about for key, value in one.items()}
    output.alt = said.get("alt") or f"Figure: {heading}"
    output.caption, output.width = said.get("caption", ""), said.get("width")
    if "image/png" in output.get("data", {}):
        output.data["image/webp"] = _webp(output.data.pop("image/png"))


def _prepare(notebook) -> None:
    """Drop what no page shows; describe the outputs and give the code its label."""
    heading = "Figure"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = re.findall(r"^#{1,6}\s+(.+?)\s*#*$", cell.source, re.MULTILINE)
            heading = re.sub(r"[*_`$]", "", found[-1]) if found else heading
        elif cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _shown(output)]
            cell.metadata.report = dict(zip(("kind", "hint"), _label(cell), strict=True))
            for output in cell.outputs:
                _describe(output, heading)


def _introduction(notebook) -> tuple[str, str]:
    """Title (text) and first paragraph (HTML) of a notebook; each empty where there is none."""
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    soup = BeautifulSoup(_markdown(prose), "html.parser")
    title, paragraph = soup.h1, (soup.h1.find_next("p") if soup.h1 else None)
    return title.get_text() if title else "", paragraph.decode_contents() if paragraph else ""


def render_study(study: StudyFolder, *, profile: str, about: str, command: str) -> list[Path]:
    """Write executed notebooks, appendix and first page.

    Parameters
    ----------
    study : StudyFolder
        Its executed notebooks and results are read, its pages written.
    profile, about, command : str
        Name of the study's profile, what that says of itself, and the command that runs it.
    """
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in study.notebooks}
    pages = []
    for name, notebook in notebooks.items():
        title, paragraph = _introduction(notebook)
        pages.append((f"{name}.html", title or name, paragraph))
    arranged = [_arrange(notebook) for notebook in notebooks.values()]
    if secondary := [cell for page in arranged for cell in page.appendix]:
        notebooks["appendix"] = _appendix(secondary)
        pages.append(("appendix.html", APPENDIX_TITLE, "What stands behind the pages."))
    facts = {"corpus": study.corpus, "profile": profile, "study": first_page.title(study)}
    around = [None, *pages, None]
    for place, (name, notebook) in enumerate(notebooks.items()):
        page = facts | {"title": pages[place][1], "previous": around[place]}
        page |= {"following": around[place + 2], "source": f"notebooks/{name}.ipynb"}
        written = _notebook_page(study.executed(name), notebook, page, study.notebooks)
        files.write_text(study.page(name), written)
    content = first_page.content(study, about, command)
    content |= {"pages": pages, "absent": _lacking(arranged)}
    template = _exporter().environment.get_template("study_index.html.j2")
    resources = {"page": facts | {"title": facts["study"]}}
    files.write_text(study.page("index"), template.render(resources=resources, **content))
    if predictions := first_page.predictions(study):
        files.write_text(study.downloads, predictions)
    return [study.page(name) for name in (*notebooks, "index")]


def _arrange(notebook) -> arrangement.Page:
    """Put the cells of a notebook into the order of its page; each cell knows its part."""
    _prepare(notebook)
    arranged = arrangement.arrange(notebook)
    for part, cells in arranged.parts.items():
        for cell in cells:
            cell.metadata.part = part
    notebook.cells = [cell for cells in arranged.parts.values() for cell in cells]
    return arranged


def _lacking(arranged) -> list[Markup]:
    """What all notebooks lack, those things together that are got in the same way."""
    things: dict[str, list[str]] = {}
    for text in (text for page in arranged for text in page.absent):
        what, how = arrangement.label(text)
        if what not in things.setdefault(how, []):
            things[how].append(what)
    return [_inline(f"**{'; '.join(whats)}.** {how}") for how, whats in things.items()]


def _appendix(cells):
    """Notebook of what all notebooks put into the appendix."""
    opening = new_markdown_cell(f"# {APPENDIX_TITLE}\n\nWhat stands behind the pages.")
    for cell in (opening, *cells):
        cell.metadata.part = "opening" if cell is opening else "body"
    whole = {"cells": [opening, *cells], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return nbformat.from_dict(whole)


def _notebook_page(path, notebook, page, pages) -> str:
    """One notebook, arranged, as a self-contained page among others, with what is said of it."""
    started = notebook.metadata.get("papermill", {}).get("start_time") or ""
    resources = {
        "metadata": {"name": path.stem, "path": str(path.parent)},
        "headings": [],
        "pages": {notebook.stem for notebook in pages},
        "counts": {"figure": 0, "table": 0},
        "page": page | {"started": started[:16].replace("T", " ")},
    }
    return _exporter().from_notebook_node(notebook, resources)[0]
