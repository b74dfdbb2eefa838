"""Executed notebooks as self-contained HTML pages, and the index page of a study.

The pages ask nothing of the network: formulas are MathML, figures and sounds are data URLs, styles
and the few lines of script are inline, and a content security policy makes the browser hold to it.
"""

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
from PIL import Image
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from genre_utils.paper import claims, published
from genre_utils.plots import formatting
from genre_utils.report import profiles
from genre_utils.report.sentences import comparison as comparison_sentences
from genre_utils.workspace import files

STUDY_TITLE = "Music genre recognition: a leak-free study"
MIME_TYPES = [
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/webp",
    "image/jpeg",
    "text/latex",
    "text/plain",
]
MATH_FONT = Path(__file__).parent / "template" / "math.woff"  # roots and sums need one
DROPPED_TYPES = {"application/javascript", "application/vnd.jupyter.widget-view+json"}
PLOT_REPR = re.compile(r"\s*(array\()?\[*\(?<(Figure|Axes|matplotlib|seaborn|BarContainer)|Text\(")
IMPORT_LIST = re.compile(r"^from [\w.]+ import \([^)]*\)", re.MULTILINE)
SKIPPED_LINE = re.compile(
    r"%|import |from [\w.]+ import|[)\]}]|# NBVAL_|((print|display|Markdown)\()+$|(if|with) .*:$"
)
LONG_TEXT = 32  # characters of a table's cell that may be broken into lines
BRACKETS = re.compile(r"\[[^\[\]]*\]")  # an interval stays on one line
NUMBER = re.compile(r"([-+−–—±\d.,:%×()\[\]\s]|to|e(?=[-+\d])|nan|inf|none|<na>)*", re.I)


def formula(latex: str, display: str) -> str:
    r"""Write a LaTeX formula as MathML.

    Parameters
    ----------
    latex : str
        The formula without its dollar signs; ``aligned`` is read as ``align*`` and a word in
        ``\mathrm`` as ``\text``, because latex2mathml gets those wrong.
    display : {"inline", "block"}
        Within a line, or on a line of its own.

    Returns
    -------
    str
        A ``<math>`` element, or the escaped LaTeX in ``<code class="formula">`` where latex2mathml
        fails, leaves a command such as ``\foo`` unread or writes something that is not XML.
    """
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

    def __init__(self, headings: list, **options):
        super().__init__(allow_harmful_protocols=False, **options)
        self.headings = headings

    def inline_math(self, body):
        return formula(body, "inline")

    def block_math(self, body):
        return formula(body, "block")

    def latex_environment(self, name, body):
        return formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")

    def heading(self, text, level, **attrs):
        plain = BeautifulSoup(text, "html.parser").get_text()
        slug = re.sub(r"\s+", "-", plain.strip())  # as JupyterLab does, so that links work in both
        same = sum(taken == slug or taken.startswith(f"{slug}~") for _, taken, _ in self.headings)
        slug = f"{slug}~{same}" if same else slug
        self.headings.append((level, slug, plain))
        link = f'<a class="anchor" href="#{escape(slug)}" aria-label="Link to this section">#</a>'
        return f'<h{level} id="{escape(slug)}">{text}{link if level > 1 else ""}</h{level}>\n'

    def link(self, text, url, title=None):
        if not urlsplit(url).scheme:
            url = re.sub(r"\.ipynb(?=#|$)", ".html", url)
        return super().link(text, url, title)

    def table(self, text):
        return f'<div class="wide" tabindex="0"><table>{text}</table></div>\n'


def markdown(source: str, headings: list | None = None, **options) -> str:
    """Markdown with formulas, as HTML; the headings met are appended to `headings`."""
    renderer = _Renderer([] if headings is None else headings, **{"escape": False, **options})
    return MarkdownWithMath(renderer=renderer).render(source)


class _Exporter(HTMLExporter):
    """nbconvert's exporter, with this module's Markdown and template."""

    @pass_context
    def markdown2html(self, context, source, trusted=True):
        """Markdown of a cell, or (not trusted: HTML is shown as text) of an output."""
        resources = context["resources"]
        return markdown(
            source,
            resources["headings"],
            escape=not trusted,
            embed_images=trusted,
            path=resources["metadata"].get("path", ""),
        )


def _exporter() -> HTMLExporter:
    config = Config()
    config.NbConvertBase.display_data_priority = MIME_TYPES
    config.CoalesceStreamsPreprocessor.enabled = True
    exporter = _Exporter(
        config=config,
        template_name="template",
        extra_template_basedirs=[str(Path(__file__).parent)],
    )
    environment = exporter.environment
    environment.autoescape = True
    environment.filters.update(tables=aligned_tables, csp_hash=_csp_hash, breakable=breakable)
    environment.globals.update(
        study_title=STUDY_TITLE,
        math_font=base64.b64encode(MATH_FONT.read_bytes()).decode(),
        light_code=HtmlFormatter(style="default").get_style_defs(".highlight"),
        dark_code=HtmlFormatter(style="github-dark").get_style_defs(".highlight"),
    )
    return exporter


def _csp_hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()


def aligned_tables(html: str) -> str:
    """Mark columns of numbers and long texts, say where names may break, drop pandas' own style."""
    if "<table" not in html:
        return html
    soup = BeautifulSoup(html, "html.parser")
    for style in soup.select("style[scoped]"):
        style.decompose()
    for table in soup.find_all("table"):
        _mark_numbers(table)
        for cell in table.find_all("td"):
            if len(cell.get_text(strip=True)) > LONG_TEXT:
                cell["class"] = [*cell.get("class", []), "long"]
        for text in table.find_all(string=re.compile(r"_|\[")):
            text.replace_with(BeautifulSoup(breakable(text), "html.parser"))
    return str(soup)


def breakable(text: str) -> Markup:
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


def webp(png: str) -> str:
    """Write a figure as WebP: lossless, or at quality 85 where that is smaller (spectrograms).

    Parameters
    ----------
    png : str
        A PNG file in base64, as notebooks store it.

    Returns
    -------
    str
        The WebP file in base64.
    """
    image, written = Image.open(io.BytesIO(base64.b64decode(png))), []
    for options in ({"lossless": True}, {"quality": 85}):
        image.save(content := io.BytesIO(), format="WEBP", **options)
        written.append(content.getvalue())
    return base64.b64encode(min(written, key=len)).decode()


def _describe(output, heading: str) -> None:
    """Give an output its alternative text, and turn its PNG into a smaller WebP."""
    given = [
        entry.get("alt") for entry in output.get("metadata", {}).values() if isinstance(entry, dict)
    ]
    output.alt = next(filter(None, given), f"Figure: {heading}")
    if "image/png" in output.get("data", {}):
        output.data["image/webp"] = webp(output.data.pop("image/png"))


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


def introduction(notebook) -> tuple[str, str]:
    """Title (text) and first paragraph (HTML) of a notebook; each empty where there is none."""
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    soup = BeautifulSoup(markdown(prose), "html.parser")
    title, paragraph = soup.h1, (soup.h1.find_next("p") if soup.h1 else None)
    return title.get_text() if title else "", paragraph.decode_contents() if paragraph else ""


def render_notebook(
    executed: Path,
    html: Path,
    *,
    corpus: dict,
    profile: str,
    previous: tuple[str, str] | None,
    following: tuple[str, str] | None,
) -> None:
    """Write one executed notebook as a self-contained HTML page.

    Parameters
    ----------
    executed : Path
        The executed notebook.
    html : Path
        The page to write; ``index.html`` is expected beside it.
    corpus : dict
        Content of the study's ``corpus.json``.
    profile : str
        Name of the profile that the study ran with.
    previous, following : tuple of str or None
        Address and title of the neighbouring pages.
    """
    notebook = nbformat.read(executed, as_version=4)
    title = introduction(notebook)[0] or executed.stem
    _prepare(notebook)
    resources = {
        "metadata": {"name": executed.stem, "path": str(executed.parent)},
        "headings": [],
        "page": {
            "title": title,
            "corpus": corpus,
            "profile": profile,
            "previous": previous,
            "following": following,
            "source": f"notebooks/{executed.name}",
            "started": _start_time(notebook),
        },
    }
    text, _ = _exporter().from_notebook_node(notebook, resources)
    with files.atomic_write(html) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _start_time(notebook) -> str:
    started = notebook.metadata.get("papermill", {}).get("start_time") or ""
    return started[:16].replace("T", " ")


def _executed(folder: Path) -> list[Path]:
    return sorted((folder / "notebooks").glob("[0-9]*.ipynb"))


def render_index(folder: Path, *, profile: str) -> Path:
    """Write the index page of a study from its JSON files and executed notebooks.

    Parameters
    ----------
    folder : Path
        The study folder; ``results.json`` may be missing, and the page then says so.
    profile : str
        Name of the profile that the study ran with.

    Returns
    -------
    Path
        The page, ``index.html`` in `folder`.
    """
    corpus = files.read_json(folder / "corpus.json")
    path, pages = folder / "results.json", []
    results = files.read_json(path) if path.exists() else None
    for notebook in _executed(folder):
        title, paragraph = introduction(nbformat.read(notebook, as_version=4))
        pages.append((f"{notebook.stem}.html", title or notebook.stem, paragraph))
    same_task = {genre.lower() for genre in corpus["genres"]} == {*published.GENRES}
    known = (profiles.PROFILES / f"{profile}.yaml").exists()
    text = (
        _exporter()
        .environment.get_template("study_index.html.j2")
        .render(
            resources={"page": {"title": STUDY_TITLE, "corpus": corpus, "profile": profile}},
            pages=pages,
            results=results,
            answer=comparison_sentences.conclusion(results)
            if results and results["models"]
            else [],
            claimed=published.PAPER["accuracy"].to_dict() if same_task else {},
            about=profiles.read_profile(profile)[2] if known else "",
            verdicts=claims.VERDICTS,
            duration=formatting.duration,
            as_text=formatting.as_text,
        )
    )
    with files.atomic_write(folder / "index.html") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return folder / "index.html"


def render_study(folder: Path, *, profile: str) -> Path:
    """Write every executed notebook of a study as a page, and the index page that leads to them.

    Parameters
    ----------
    folder : Path
        The study folder, with ``corpus.json`` and ``notebooks/NN_name.ipynb``.
    profile : str
        Name of the profile that the study ran with.

    Returns
    -------
    Path
        The index page.
    """
    corpus = files.read_json(folder / "corpus.json")
    notebooks = _executed(folder)
    titles = [introduction(nbformat.read(path, as_version=4))[0] or path.stem for path in notebooks]
    links = [(f"{path.stem}.html", title) for path, title in zip(notebooks, titles, strict=True)]
    neighbours = zip([None, *links[:-1]], [*links[1:], None], strict=True) if links else []
    for path, (previous, following) in zip(notebooks, neighbours, strict=True):
        html = folder / f"{path.stem}.html"
        names = {"previous": previous, "following": following}
        render_notebook(path, html, corpus=corpus, profile=profile, **names)
    return render_index(folder, profile=profile)
