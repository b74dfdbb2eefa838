"""How the cells of an executed notebook are arranged: result first, set-up last, the rest apart."""

import re
from dataclasses import dataclass, field

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

#: Tags of cells: shown on top of the page, closed until it is asked for, on the page of all that is
#: secondary, and on none, because it serves to open the notebook elsewhere.
SUMMARY, FOLDED, APPENDIX, ONLINE = "summary", "folded", "appendix", "online"
#: Parts of a page, in their order.
PARTS = ("opening", "summary", "body", "setup")
SET_UP, REFERENCES = "Set-up", "References"  # sections; references are folded, too
MORE = "More in the appendix"
_HEADING = re.compile(r"^(#{1,6}) +(?:\d+\. +)?(.+?) *#*$")  # numbers show gaps where one is absent
_FENCE = re.compile(r"^(```|~~~)")
_LABEL = re.compile(r"^\*\*(.+?)\.?\*\*\s*", re.DOTALL)


@dataclass
class _Section:
    """A heading and the cells up to the next one."""

    level: int
    title: str
    cells: list = field(default_factory=list)


@dataclass
class Page:
    """A notebook arranged: cells by part, those of the appendix, and what the study lacks."""

    parts: dict[str, list]
    appendix: list
    absent: list[str]


def arrange(notebook: NotebookNode) -> Page:
    """Arrange the cells of an executed notebook whose outputs are those that a page shows.

    Parameters
    ----------
    notebook : NotebookNode
        Its cells are tagged; a section that shows just what the study lacks is left out.

    Returns
    -------
    Page
        With new cells of Markdown, and those of code as they are, less what the study lacks.
    """
    page = Page({part: [] for part in PARTS}, [], [])
    cells = [cell for cell in notebook.cells if not tagged(cell, ONLINE)]
    sections, setting_up = _sections(cells), False
    title = next((one.title for one in sections if one.level == 1 and one.title), "")
    kept = [(section, _strip_absent(section, page.absent)) for section in sections]
    for section, shown in kept:
        setting_up = section.title == SET_UP or (setting_up and section.level > 2)
        part = "opening" if section.level < 2 else "setup" if setting_up else "body"
        place = re.sub(r"\W+", "-", f"{title} {section.title}").strip("-")
        if shown and _place(section, part, page, place) and part == "body":
            before = page.parts[part][-1:]
            if not before or not before[0].source.startswith(f"[{MORE}]"):
                page.parts[part].append(new_markdown_cell(f"[{MORE}](appendix.html#{place})"))
    if page.appendix:
        page.appendix.insert(0, new_markdown_cell(f"## {title}"))
    page.parts["body"] = _without_bare_headings(page.parts["body"])
    page.parts["summary"].sort(key=_draws)  # sentences first
    return page


def slug(title: str) -> str:
    """Name of a heading's place on a page, as JupyterLab makes it, so that links work in both."""
    return re.sub(r"\s+", "-", title.strip())


def _sections(cells):
    """Sections of a notebook, cells of Markdown parted at their headings."""
    sections = [_Section(1, "")]
    for cell in cells:
        for level, title, one in _parted(cell):
            if title:
                sections.append(_Section(level, title))
            sections[-1].cells.append(one)
    return sections


def _parted(cell):
    """Level, title (empty without a heading) and cell of each part of a cell."""
    if cell.cell_type != "markdown":
        return [(*_announced(cell), cell)]
    parts, code = [[]], False
    for line in cell.source.splitlines():
        code ^= bool(_FENCE.match(line))
        if not code and _HEADING.match(line) and "".join(parts[-1]).strip():
            parts.append([])
        parts[-1].append(line)
    found = []
    for lines in parts:
        heading = _HEADING.match(lines[0]) if lines else None
        if heading:
            lines[0] = f"{heading[1]} {heading[2]}"
        one = new_markdown_cell("\n".join(lines).strip(), metadata=cell.metadata)
        level, title = (len(heading[1]), re.sub(r"[*_`$]", "", heading[2])) if heading else (0, "")
        found.append((level, title, one))
    return found


def _announced(cell):
    """Level and title of a section that the output of a cell of code begins, such as the last."""
    said = (output.get("data", {}).get("text/markdown", "") for output in cell.outputs)
    found = next(filter(None, (_HEADING.match(text.partition("\n")[0]) for text in said)), None)
    return (len(found[1]), found[2]) if found else (0, "")


def tagged(cell, tag: str) -> bool:
    """Tell whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def _is_absent(output):
    about = output.get("metadata", {}).values()
    return any(isinstance(entry, dict) and entry.get("absent") for entry in about)


def _draws(cell):
    return cell.cell_type == "code" and any("image/png" in o.get("data", {}) for o in cell.outputs)


def _strip_absent(section, absent):
    """Move what the study lacks to a list; tell whether the section shows something without."""
    lacking = False
    for cell in section.cells:
        if cell.cell_type == "code":
            here = [output for output in cell.outputs if _is_absent(output)]
            absent += [output.data["text/markdown"] for output in here]
            lacking |= bool(here)
            cell.outputs = [output for output in cell.outputs if not _is_absent(output)]
    return not lacking or any(cell.cell_type == "code" and cell.outputs for cell in section.cells)


def _place(section, part, page, place):
    """Put a section's cells where their tags say; tell if some are in the appendix, at `place`."""
    beside = []
    for cell in section.cells:
        if tagged(cell, SUMMARY):
            page.parts["summary"].append(cell)
        elif tagged(cell, APPENDIX):
            beside.append(cell)
        elif section.title == REFERENCES and _level(cell):
            listed = f"**{REFERENCES}.** {cell.source.partition(chr(10))[2].strip()}"
            page.parts[part].append(new_markdown_cell(listed, metadata={"tags": [FOLDED]}))
        else:
            page.parts[part].append(cell)
    found = any(_tells(cell) for cell in beside)
    if found:
        for cell in beside:
            if _level(cell):
                cell.source = cell.source.partition("\n")[2].strip()
        heading = new_markdown_cell(f'### <a id="{place}"></a>{section.title}')
        page.appendix += [heading, *beside]
    return found


def _without_bare_headings(cells):
    """Cells without headings that nothing follows before the next one of their level."""
    kept: list = []
    for cell in reversed(cells):
        below = next((_level(one) for one in reversed(kept) if _tells(one)), 1)
        bare = _level(cell) and "\n" not in cell.source
        if not (bare and 0 < below <= _level(cell)):
            kept.append(cell)
    return kept[::-1]


def _level(cell):
    lines = cell.source.split("\n") if cell.cell_type == "markdown" else [""]
    heading = _HEADING.match(lines[0])
    return len(heading[1]) if heading else 0


def _tells(cell):
    return cell.cell_type == "markdown" or bool(cell.outputs)


def label(source: str) -> tuple[str, str]:
    """Part the text of a folded cell into its label, printed bold in front, and the rest."""
    found = _LABEL.match(source)
    return (found[1], source[found.end() :]) if found else ("Method", source)
