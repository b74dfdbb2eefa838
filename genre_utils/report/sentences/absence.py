"""What a study has not: said in the notebook, left out of its page, listed once on the index."""

from IPython.display import Markdown


def absent(what: str, how: str) -> Markdown:
    """Say that something was not measured, and how to get it.

    The section that shows nothing else is left out of the report.

    Parameters
    ----------
    what : str
        Noun phrase with a capital, as in a list.
    how : str
        What it needs, as a sentence.
    """
    return Markdown(f"**{what}.** {how}", metadata={"absent": True})
