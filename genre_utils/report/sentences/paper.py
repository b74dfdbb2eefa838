"""Sentences of notebook 06 about the paper: its claims that nobody tested, and its arithmetic."""

import pandas as pd
from IPython.display import Markdown

from genre_utils.paper import claims, published
from genre_utils.report.sentences.absence import absent


def untested_claims(audit: dict) -> Markdown | None:
    """Say in one line which claims of the paper a study cannot judge, and what that needs.

    Parameters
    ----------
    audit : dict
        As in results.json.
    """
    untested = claims.by_verdict(audit)[claims.NOT_MEASURED]
    if not untested:
        return None
    topics = dict.fromkeys(one["topic"].lower() for one in untested)
    needs = dict.fromkeys(one["needs"] for one in untested)
    what = f"{len(untested)} of the paper's claims, about {_listed(topics)}"
    return absent(what, f"They need {'; or '.join(needs)}.")


def arithmetic(checked: pd.DataFrame) -> str:
    """Count the checks that the paper's own table fails, and say why it does.

    Parameters
    ----------
    checked : pd.DataFrame
        From `paper.check_arithmetic`.
    """
    wrong = checked[checked["verdict"] == "inconsistent"]
    called = wrong["model"].map(published.CALLED).groupby(wrong["claim"])
    models = {claim: _listed(f"the {name}" for name in names) for claim, names in called}
    return (
        f"Of {len(checked)} checks {len(wrong)} fail, whatever the music. The mean F1 of "
        f"{models[published.F1_BOUND]} is above the harmonic mean of mean precision and recall, "
        f"its upper bound (Jensen's inequality). The accuracy of {models[published.BETWEEN]} is "
        "below its number for every genre: these are neither recalls nor precisions nor F1."
    )


def _listed(names):
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
