"""Every claim of section 4 of the paper, and a verdict on each by a rule, from real music alone."""

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from genre_utils.evaluation import comparisons, intervals, metrics, scoring
from genre_utils.experiments import ablation
from genre_utils.paper.published import CALLED, GENRES, METRICS, PAPER, check_arithmetic
from genre_utils.plots import formatting
from genre_utils.workspace import files
from genre_utils.workspace.model_names import PAPER_MODELS
from genre_utils.workspace.study_folder import StudyFolder

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
UNCLEAR, NOT_MEASURED = "not significantly different", "not measured"
_VERDICTS = (REPRODUCED, NOT_REPRODUCED, UNCLEAR, NOT_MEASURED)


class _UnmeasuredError(Exception):
    """A claim that this study cannot judge; the message says what it would need for that."""


@dataclass(frozen=True)
class _Evidence:
    """What claims are judged by: the study's own models, and what was measured beside them."""

    results: dict
    study: StudyFolder
    stored: dict  # variants of `ablation` and their predictions
    effects: dict  # differences of variants from their baselines, by label

    @property
    def genres(self):
        return [genre.lower() for genre in self.results["corpus"]["genres"]]


def _evidence(results, study):
    stored = ablation.stored(study)
    tested = {variant.label for variant in ablation.claims(has_audio=True)}
    others = [variant for label, (variant, _) in stored.items() if label not in tested]
    plans = ablation.claims, lambda has_audio: others  # Holm within each
    effects = [ablation.compare(study, variants) for variants in plans]
    counted = (table.assign(tests=len(table)) for table in effects)
    by_label = {row["label"]: row for table in counted for _, row in table.iterrows()}
    return _Evidence(results, study, stored, by_label)


def _why_no_evidence(results):
    """Say why a study's music cannot test the paper's claims; empty if it can."""
    corpus = results["corpus"]
    known = [model["known_artists"] for model in results["models"].values()]
    if corpus["synthetic"]:
        return (
            "The music is composed: how hard it is was our own choice, so it is no evidence about "
            "any claim of the paper, and none is judged."
        )
    if corpus["group_by"] != "artist" or any(one and not one["tracks"] for one in known):
        return (
            "Artists may stand on both sides of this study's splits, so that its numbers are too "
            "high by an unknown amount: no claim of the paper is judged by them."
        )
    return ""


def audit(results: dict, study: StudyFolder) -> dict:
    """Judge every claim of section 4 of the paper by real music, as far as it was measured.

    Parameters
    ----------
    results : dict
        Content of results.json.
    study : StudyFolder
        Its predictions, runs and folds are read, and what `ablation` measured.

    Returns
    -------
    dict
        Keys evidence (whether this music can test anything), why (it cannot), note (how genres
        differ from the paper's), claims, each with topic, claim, rule, verdict, found (in words),
        value, ci95, p (which decided), tests (for how many it is corrected) and needs (what would
        measure it), None where that does not apply, and arithmetic: how many statements of the
        paper were checked, and how many cannot hold. No two claims are judged by the same test.
    """
    why = _why_no_evidence(results)
    seen = None if why else _evidence(results, study)
    claims = [
        {"topic": topic, "claim": claim, "rule": rule} | _verdict(judge, seen)
        for topic, claim, rule, judge in _claims()
    ]
    checked = check_arithmetic()["verdict"]
    arithmetic = {"checked": len(checked), "inconsistent": int((checked == "inconsistent").sum())}
    content = {"evidence": not why, "why": why, "note": _other_genres(results["corpus"])}
    return files.plain(content | {"claims": claims, "arithmetic": arithmetic})


def _verdict(judge, seen):
    blank = dict.fromkeys(("verdict", "found", "value", "ci95", "p", "tests", "needs"))
    if seen is None:
        return blank
    try:
        return blank | judge(seen)
    except _UnmeasuredError as error:
        return blank | {"verdict": NOT_MEASURED, "needs": str(error)}


def by_verdict(audit: dict) -> dict[str, list[dict]]:
    """Claims of an `audit` under the verdict on them, in the order in which they are shown."""
    found: dict = {verdict: [] for verdict in (*_VERDICTS, None)}
    for one in audit["claims"]:
        found[one["verdict"]].append(one)
    return found


def judged(audit: dict) -> pd.DataFrame:
    """Show the claims of an `audit` that were judged, by verdict.

    Parameters
    ----------
    audit : dict
        As in results.json.

    Returns
    -------
    pd.DataFrame of str
        Columns verdict (once, with their number), claim, difference (that it says is above 0,
        with its 95 % interval), p, tests (that p is corrected for). Empty where none was judged.
    """
    found, rows = by_verdict(audit), []
    for verdict in _VERDICTS[:3]:
        for k, one in enumerate(found[verdict]):
            row = {"verdict": "" if k else f"{verdict} ({len(found[verdict])})"}
            row |= {"claim": one["claim"], "difference [95 % interval]": one["found"]}
            rows.append(row | {"p": formatting.p_text(one["p"]), "tests": one["tests"] or ""})
    return pd.DataFrame(rows)


def _other_genres(corpus):
    genres, theirs = {genre.lower() for genre in corpus["genres"]}, {*GENRES}
    said = f"The paper has {len(theirs)} genres. This study has {len(genres)}, of which "
    said += f"{len(genres & theirs)} are the paper's, and that is another task."
    return "" if genres == theirs else said


def _claims():
    """Topic, claim, rule and judge of every claim, in the order in which they are shown."""
    accuracy = PAPER["accuracy"].sort_values(ascending=False)
    for pair in (pairs := list(itertools.pairwise(accuracy.index))):
        claim = "The {} is ahead of the {}.".format(*(CALLED[name] for name in pair))
        yield "Order of the models", claim, "pair", partial(_ahead, pair=pair, family=pairs)
    for name in PAPER_MODELS:
        genre = PAPER.loc[name, list(GENRES)].astype(float).idxmax()
        claim = f"The {CALLED[name]} recognises {genre} best."
        yield "Best genre", claim, "highest", partial(_best_genre, name=name, genre=genre)
    for key in ("precision", "recall", "f1"):  # by accuracy: the order of the models
        name = PAPER[METRICS[key]].idxmax()
        claim = f"The {CALLED[name]} has the highest {METRICS[key]}."
        yield "Best measure", claim, "highest", partial(_best_model, name=name, key=key)
    for pair in itertools.pairwise(PAPER["hours"].sort_values().index):
        claim = "The {} trains faster than the {}.".format(*(CALLED[name] for name in pair))
        yield "Training time", claim, "time", partial(_faster, pair=pair)
    for topic, claim, label, sign in (
        ("Input", "A spectrogram tells a CNN more than MFCC alone.", "cnn_log_mel", 1),
        ("Input", "Chroma tells a CNN more than MFCC alone.", "cnn_chroma", 1),
        ("Input", "Spectrogram and chroma together tell it more than MFCC alone.",
         "cnn_log_mel_chroma", 1),
        ("Regularisation", "L2 helps the hybrid.", "hybrid_no_l2", -1),
        ("Regularisation", "Dropout helps the hybrid.", "hybrid_no_dropout", -1),
    ):  # fmt: skip
        yield topic, claim, "change", partial(_change, label=label, sign=sign)
    for genre, where in ((None, ""), ("classical", " for classical music")):
        rate = f"A learning rate of 0.005 suits the RNN best{where}."
        yield "Learning rate", rate, "highest", partial(_best_rate, genre=genre)
    for claim, label in (
        ("Augmenting the recordings helps.", "waveform"),
        ("Changing the spectrograms in training helps.", "in_training"),
    ):
        yield "Augmentation", claim, "change", partial(_change, label=label, sign=1)
    pairs = [("fusion", "cnn"), ("fusion", "mlp")]
    for pair, what in zip(pairs, ("learned", "handcrafted"), strict=True):
        claim = f"Handcrafted features beside learned ones are ahead of {what} ones alone."
        yield "Features", claim, "pair", partial(_ahead, pair=pair, family=pairs)


def _need(seen, *names):
    """Refuse to compare these models unless all are there and were trained alike."""
    lacking = [name for name in names if name not in seen.results["models"]]
    if lacking:
        raise _UnmeasuredError(f"{' and '.join(lacking)} among MODELS")
    hashes = [seen.study.run(name)["hashes"] for name in names]
    if len({(one["features"], one["folds"], one["code"]) for one in hashes}) > 1:
        why = "trained by the same code on the same features"
        raise _UnmeasuredError(f"{' and '.join(names)} {why}")


def _measuring(seen, *, recordings):
    """Say how a study measures what this one has not."""
    if recordings and seen.results["corpus"]["name"] in ("spectrograms", "store"):
        return "recordings, which this corpus lacks: the profile gtzan with MEASURE=true"
    if seen.results["protocol"] == "fixed":  # trying things out would use up the held-out tracks
        return "folds in place of one held-out part: the profile gtzan-mel-full"
    return f"the profile {seen.results['profile']} with MEASURE=true"


def _judged(value, limits, p, tests=None, *, of="", unit="", digits=2):
    """Judge a difference that a claim says is above zero; p is corrected for so many tests."""
    direction = REPRODUCED if value > 0 else NOT_REPRODUCED
    size, low, high = (formatting.signed(number, digits) for number in (value, *limits))
    found = f"{size}{unit} [{low}, {high}]"
    judged = {"verdict": direction if p < intervals.LEVEL else UNCLEAR, "found": found + of}
    return judged | {"value": value, "ci95": list(limits), "p": p, "tests": tests}


def _ahead(seen, *, pair, family):
    """Judge that the first of a pair is ahead; where the results have not, correct for `family`."""
    _need(seen, *pair)
    by_pair = {frozenset((one["a"], one["b"])): one for one in seen.results["pairwise"]}
    tested = {names: by_pair[frozenset(names)] for names in family if frozenset(names) in by_pair}
    one, p_values = tested[pair], [other["p_value"] for other in tested.values()]
    p = dict(zip(tested, comparisons.holm(p_values), strict=True))[pair], len(tested)
    if one["p_holm"] is not None:
        p = one["p_holm"], sum(other["primary"] for other in seen.results["pairwise"])
    sign = 1 if one["a"] == pair[0] else -1
    limits = sorted(sign * limit for limit in one["ci95"])
    return _judged(sign * one["difference"], limits, *p)


def _compared(ratios, claimed):
    """Judge that `claimed` has the highest of some ratios by name, by the pair that decides.

    To be ahead of all takes every test, which needs no correction (Berger 1982, Technometrics
    24): the least sure one decides. To be behind takes one of them, corrected: the surest one.
    """
    others = [name for name in ratios if name != claimed]
    ahead = [_less(ratios[claimed], ratios[name]) for name in others]
    behind = np.array([one.value for one in ahead]) <= 0
    p, tests = np.array([comparisons.change_test(one) for one in ahead]), None
    decides = p.argmax()
    if behind.any():
        p, tests = comparisons.holm(p), len(p)
        decides = np.where(behind, p, np.inf).argmin()
    one, other = ahead[decides], others[decides]
    of = f" against {CALLED.get(other, other)}"
    return _judged(one.value, intervals.change_interval(one), p[decides], tests, of=of)


def _less(one, other):
    """Estimate of one value less another, over the same artists."""
    signed = zip(one, (*other[:2], -other[2]), strict=True)
    return intervals.combined_ratios(*(np.concatenate(both, axis=-1) for both in signed))


def _recall_of(counts, place):
    """Recall of one genre as `intervals.combined_ratios` takes it."""
    hits, true, _ = metrics.metric_ratios(counts)["recall"]
    return hits[:, [place]], true[:, [place]], np.ones(1)


def _best_genre(seen, *, name, genre):
    if not {*GENRES} <= {*seen.genres}:
        raise _UnmeasuredError(f"a corpus with {', '.join(GENRES)}")
    _need(seen, name)
    counts = scoring.confusions(seen.study, name)
    ratios = {one: _recall_of(counts, seen.genres.index(one)) for one in GENRES}
    return _compared(ratios, genre)


def _best_model(seen, *, name, key):
    _need(seen, *PAPER_MODELS)
    counts = {one: scoring.confusions(seen.study, one) for one in PAPER_MODELS}
    return _compared({one: metrics.metric_ratios(counts[one])[key] for one in counts}, name)


def _faster(seen, *, pair):
    """Judge by the CPU seconds per fold: what else ran on the machine says nothing of a network."""
    _need(seen, *pair)
    tables = (pd.DataFrame(seen.study.run(name)["folds"]).set_index("fold") for name in pair)
    fast, slow = (table["cpu_seconds"].astype(float) for table in tables)
    more = (slow - fast).to_numpy()
    if (count := len(more)) < 2:
        raise _UnmeasuredError("more than one fold")
    mean, error = more.mean(), max(stats.sem(more), intervals.NOTHING)
    reach = stats.t.ppf(1 - intervals.LEVEL / 2, count - 1) * error
    p = 2 * stats.t.sf(abs(mean) / error, count - 1)
    return _judged(mean, (mean - reach, mean + reach), p, unit=" s", digits=1)


def _change(seen, *, label, sign):
    """Judge that a change helps (sign 1), or that leaving it out hurts (-1)."""
    if label not in seen.effects:
        of_sound = "chroma" in label or label == "waveform"
        raise _UnmeasuredError(_measuring(seen, recordings=of_sound))
    row = seen.effects[label]
    limits = sorted((sign * row["low"], sign * row["high"]))
    return _judged(sign * row["difference"], limits, row["p_holm"], row["tests"])


def _best_rate(seen, *, genre):
    """Judge that the RNN's rate of the paper is the best that was tried, for all or for a genre."""
    rates = {
        "0.005" if label == "rnn" else label.removeprefix("rnn_"): predictions
        for label, (variant, predictions) in seen.stored.items()
        if label == "rnn" or variant.question == ablation.RATE
    }
    if "0.005" not in rates or len(rates) < 2:
        raise _UnmeasuredError(_measuring(seen, recordings=False))
    if genre and genre not in seen.genres:
        raise _UnmeasuredError(f"a corpus with {genre}")
    ratios = {}
    known = seen.study.groups, seen.results["corpus"]["genres"]
    for rate, predictions in rates.items():
        counts = metrics.group_confusions(scoring.track_probabilities(predictions), *known)
        whole = metrics.metric_ratios(counts)["accuracy"]
        ratios[rate] = _recall_of(counts, seen.genres.index(genre)) if genre else whole
    return _compared(ratios, "0.005")
