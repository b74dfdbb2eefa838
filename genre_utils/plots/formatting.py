"""Numbers and tables as they are shown."""

from html import escape

import pandas as pd


def points(row) -> str:
    """A difference (keys difference, and low, high or ci95: shares) with its interval in points."""
    limits = row["ci95"] if "ci95" in row else (row["low"], row["high"])
    change, low, high = (round(100 * share) for share in (row["difference"], *limits))
    text = f"{change} {'point' if abs(change) == 1 else 'points'} ({low} to {high})"
    return text.replace("-", "\N{MINUS SIGN}")


def as_text(value, limits=None) -> str:
    """Write a number with its interval, and nothing where there is no number.

    Parameters
    ----------
    value : float or None
        The number.
    limits : (float, float), optional
        Its interval.
    """
    if value is None or pd.isna(value):
        return ""
    known = limits and None not in limits  # with a single artist there are none
    return f"{value:.2f}" + (f" [{limits[0]:.2f}, {limits[1]:.2f}]" if known else "")


def percent(share: float) -> str:
    """A share as a whole percentage."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def signed(value: float, digits: int = 2) -> str:
    """Write a difference with its sign, a minus that is one.

    Parameters
    ----------
    value : float
        The difference.
    digits : int
        How many behind the point.
    """
    return f"{value:+z.{digits}f}".replace("-", "\N{MINUS SIGN}")


def signed_with_limits(row, digits: int = 2) -> str:
    """Write a difference and its interval (value, low, high), each `signed`; nothing for NaN."""
    known = "{} [{}, {}]".format(*(signed(number, digits) for number in row))
    return "" if pd.isna(row[0]) else known


def duration(seconds: float) -> str:
    """Write a duration, from a minute on in minutes.

    Parameters
    ----------
    seconds : float
        How long.
    """
    return f"{seconds:.0f} s" if seconds < 59.5 else f"{seconds / 60:.1f} min"


def p_text(value) -> str:
    """Write a p value, and nothing where there is none.

    Parameters
    ----------
    value : float or None
        The p value.

    Examples
    --------
    >>> p_text(0.0312), p_text(0.0001)
    ('0.031', '< 0.001')
    """
    if value is None or pd.isna(value):
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def shown(table: pd.DataFrame, caption: str = ""):
    """Style a table of text as a notebook displays it, all of it escaped.

    Parameters
    ----------
    table : pd.DataFrame
        Its index becomes a column, if it has a name.
    caption : str
        Above the table.
    """
    styled = table.reset_index() if table.index.name else table
    styled = styled.style.hide().format(escape="html").format_index(escape="html", axis=1)
    return styled.set_caption(escape(caption))
