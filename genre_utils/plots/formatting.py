"""TODO plots.formatting."""

from html import escape

import pandas as pd


def points(row) -> str:
    """Write a difference in points with its interval: ``-12 points (-18 to -7)``."""
    change, low, high = (round(100 * row[name]) for name in ("difference", "low", "high"))
    return f"{change} {'point' if abs(change) == 1 else 'points'} ({low} to {high})"


def as_text(value, limits=None) -> str:
    """Write 0.74 [0.66, 0.81]; without limits 0.74, without a value nothing."""
    if value is None or pd.isna(value):
        return ""
    return f"{value:.2f}" + (f" [{limits[0]:.2f}, {limits[1]:.2f}]" if limits else "")


def duration(seconds: float) -> str:
    """Write a duration: 42 s, or 2.0 min from a minute on."""
    return f"{seconds:.0f} s" if seconds < 59.5 else f"{seconds / 60:.1f} min"


def p_text(value) -> str:
    """Write a p value: 0.031, or < 0.001; without a value nothing."""
    if value is None or pd.isna(value):
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def shown(table: pd.DataFrame, caption: str = ""):
    """A table of text as a notebook displays it: index as a column, all of it escaped."""
    styled = table.reset_index() if table.index.name else table
    styled = styled.style.hide().format(escape="html").format_index(escape="html", axis=1)
    return styled.set_caption(escape(caption))
