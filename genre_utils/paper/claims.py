"""Every claim of section 4 of the paper (see `paper`), and a verdict on each from real music.

A verdict follows from a stated rule (`RULES`) and from what a study has stored, never from how near
a number is. Composed music gives none.
"""

import itertools
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from genre_utils.evaluation import comparisons, intervals, metrics, scoring, study_results
from genre_utils.experiments import ablation
from genre_utils.paper import tables as tables_module
from genre_utils.paper.published import CALLED, GENRES, METRICS, MODELS, PAPER
from genre_utils.plots import formatting
from genre_utils.workspace import files

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
UNCLEAR, NOT_MEASURED = "not separable", "not measured"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, UNCLEAR, NOT_MEASURED)
#: How a claim of the paper is judged, by kind of claim.
RULES = {
    "level": "A number of the paper is *not reproduced* if it lies outside our 95 % interval, and "
    "*not separable* from ours if it lies inside. It cannot be reproduced: the paper does not name "
    "its corpus, and accuracy depends on the corpus.",
    "pair": "That one model is ahead of another is *reproduced* if they differ in this direction, "
    "and *not reproduced* if they differ in the other, by the sign-flip test over artists (p < "
    "0.05 after Holm's correction: for the paper's three pairs, or for the two about features).",
    "highest": "That something is the highest or lowest of several is *reproduced* if it is ahead "
    "of each of the others, and *not reproduced* if it is behind one of them, by Student's t-test "
    "of the difference over artists (p < 0.05, for the latter after Holm's correction for the "
    "others). Its distance from the nearest of them is given with its own 95 % interval.",
    "change": "That a change helps is judged like a pair, with Holm's correction for all changes "
    "that were measured together. Each trains the same network anew.",
    "time": "That one network trains faster than another is judged by its seconds per fold, wall "
    "and CPU: both 95 % intervals (Student's t over the folds) must lie on the same side of zero. "
    "It is about this machine alone.",
}


@dataclass(frozen=True)
class _Evidence:
    """What claims are judged by: the study's own models, and what was measured beside them."""

    results: dict
    study: Path
    counts: dict  # confusion matrices of the groups, for each of the paper's models
    runs: dict
    stored: dict  # variants of `ablation` and their predictions
    effects: pd.DataFrame  # differences of variants from their baselines


def _evidence(results, study):
    named = [name for name in (*MODELS, "mlp", "fusion") if name in results["models"]]
    stored = ablation.stored(study)
    tested = {variant.label for variant in ablation.claims(has_audio=True)}
    others = [variant for label, (variant, _) in stored.items() if label not in tested]
    tables = [
        ablation.compare(study, variants)
        for variants in (ablation.claims, lambda has_audio: others)  # Holm within each
    ]
    effects = pd.concat([table for table in tables if len(table)] or [pd.DataFrame({"label": []})])
    return _Evidence(
        results,
        study,
        tables_module.confusions(study, [name for name in named if name in MODELS]),
        {name: files.read_json(study / "runs" / f"{name}.json") for name in named},
        stored,
        effects.set_index("label"),
    )


def why_no_evidence(results: dict) -> str:
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


def audit(results: dict, study: Path) -> dict:
    """Judge every claim of section 4 of the paper by real music, as far as it was measured.

    Parameters
    ----------
    results : dict
        Content of results.json.
    study : Path
        The study folder: predictions, runs, folds, and what `ablation` measured.

    Returns
    -------
    dict
        evidence : bool
            Whether this music can test anything; if not, `why` says why, and no verdict is given.
        note : str
            How the genres differ from the paper's; empty if they do not.
        claims : list of dict
            topic, claim, rule (a key of `RULES`), verdict (reproduced, not reproduced, not
            separable, not measured, or None), found (what was found, in words), value and ci95
            (its 95 % interval), needs (what would measure it). What does not apply is None.
        arithmetic : dict
            How many statements about the paper's own table were checked, and how many cannot hold:
            see `tables.audit`. This needs no music.
    """
    why = why_no_evidence(results)
    seen = None if why else _evidence(results, study)
    blank = dict.fromkeys(("verdict", "found", "value", "ci95", "needs"))
    claims = [
        {"topic": topic, "claim": claim, "rule": rule} | blank | (judge(seen) if seen else {})
        for topic, claim, rule, judge in _claims()
    ]
    checked = tables_module.audit()["verdict"]
    arithmetic = {"checked": len(checked), "inconsistent": int((checked == "inconsistent").sum())}
    content = {"evidence": not why, "why": why, "note": _other_genres(results["corpus"])}
    return study_results.plain(content | {"claims": claims, "arithmetic": arithmetic})


def _other_genres(corpus):
    genres = {genre.lower() for genre in corpus["genres"]}
    if genres == {*GENRES}:
        return ""
    return (
        f"The paper has {len(GENRES)} genres. This study has {len(genres)}, of which "
        f"{len(genres & {*GENRES})} are the paper's, and that is another task."
    )


def _claims():
    """Topic, claim, rule and judge of every claim, in the order in which they are shown."""
    accuracy = PAPER["accuracy"]
    for name in MODELS:
        claim = f"The {CALLED[name]} reaches an accuracy of {accuracy[name]:.2f}."
        yield "Accuracy", claim, "level", partial(_level, name=name)
    ranked = list(accuracy.sort_values(ascending=False).index)
    pairs = list(itertools.pairwise(ranked))
    for pair in pairs:
        claim = "The {} is ahead of the {}.".format(*(CALLED[name] for name in pair))
        yield "Order of the models", claim, "pair", partial(_ahead, pair=pair, family=pairs)
    for name in MODELS:
        genre = PAPER.loc[name, list(GENRES)].astype(float).idxmax()
        claim = f"The {CALLED[name]} is best at {genre}."
        yield "Best genre", claim, "highest", partial(_best_genre, name=name, genre=genre)
    for key, label in METRICS.items():
        name = PAPER[label].idxmax()
        claim = f"The {CALLED[name]} has the highest {label} of the three."
        yield "Best measure", claim, "highest", partial(_extreme, name=name, key=key, sign=1)
    for key in ("precision", "recall", "f1"):
        said = PAPER[METRICS[key]].idxmin() == "hybrid"
        claim = f"The hybrid has the lowest {METRICS[key]} of the three"
        claim += "." if said else " (so the paper's text; its own table says otherwise)."
        yield "Best measure", claim, "highest", partial(_extreme, name="hybrid", key=key, sign=-1)
    ranked = list(PAPER["hours"].sort_values().index)
    for pair in itertools.pairwise(ranked):
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
    rate = "A learning rate of 0.005 suits the RNN best."
    yield "Learning rate", rate, "highest", partial(_best_rate, genre=None)
    rate = "A learning rate of 0.005 suits the RNN best for classical music."
    yield "Learning rate", rate, "highest", partial(_best_rate, genre="classical")
    for claim, label in (
        ("Augmenting the recordings helps.", "waveform"),
        ("Changing the spectrograms in training helps.", "in_training"),
    ):
        yield "Augmentation", claim, "change", partial(_change, label=label, sign=1)
    pairs = [("fusion", "cnn"), ("fusion", "mlp")]
    for pair, what in zip(pairs, ("learned", "handcrafted"), strict=True):
        claim = f"Handcrafted features beside learned ones are ahead of {what} ones alone."
        yield "Features", claim, "pair", partial(_ahead, pair=pair, family=pairs)


def _missing(seen, *names):
    """Say what is missing to compare these models; empty if nothing is."""
    lacking = [name for name in names if name not in seen.results["models"]]
    if lacking:
        return f"{' and '.join(lacking)} among MODELS"
    hashes = [seen.runs[name]["hashes"] for name in names]
    if len({tuple(one[key] for key in ("features", "folds", "code")) for one in hashes}) > 1:
        return f"{' and '.join(names)} trained by the same code on the same features"
    return ""


def _unmeasured(needs):
    return {"verdict": NOT_MEASURED, "needs": needs}


def _measuring(seen, *, recordings):
    """Say how a study measures what this one has not."""
    if recordings and seen.results["corpus"]["name"] == "store":
        return "recordings, which this corpus lacks: the profile gtzan with MEASURE=true"
    if seen.results["protocol"] == "fixed":  # trying things out would use up the held-out tracks
        return "folds in place of one held-out part: the profile gtzan-mel-full"
    profile = seen.results["profile"]
    if (files.ROOT / "notebooks" / "profiles" / f"{profile}-full.yaml").exists():
        return f"the profile {profile}-full"
    return f"the profile {profile} with MEASURE=true"


def _of(low, high):
    """Verdict on a difference that the paper says is above zero, by its interval."""
    return REPRODUCED if low > 0 else NOT_REPRODUCED if high < 0 else UNCLEAR


def _signed(value, low, high):
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"


def _p(value):
    return f"p {formatting.p_text(value)}" if value < 0.001 else f"p = {formatting.p_text(value)}"


def _level(seen, *, name):
    missing = _missing(seen, name)
    if {genre.lower() for genre in seen.results["corpus"]["genres"]} != {*GENRES}:
        missing = f"a corpus of just {', '.join(GENRES)}"
    if missing:
        return _unmeasured(missing)
    model = seen.results["models"][name]
    low, high = model["ci95"]["accuracy"]
    found = {"value": model["accuracy"], "ci95": [low, high]}
    inside = low <= PAPER.loc[name, "accuracy"] <= high
    text = formatting.as_text(model["accuracy"], [low, high])
    return found | {"found": text, "verdict": UNCLEAR if inside else NOT_REPRODUCED}


def _ahead(seen, *, pair, family):
    """Judge that the first of a pair is ahead; where the results have not, correct for `family`."""
    missing = _missing(seen, *pair)
    if missing:
        return _unmeasured(missing)
    tested = {
        names: one
        for names, one in itertools.product(family, seen.results["pairwise"])
        if {one["a"], one["b"]} == {*names}
    }
    one = tested[pair]
    p = one["p_holm"]
    if p is None:
        p_holm = comparisons.holm([other["p_value"] for other in tested.values()])
        p = p_holm[list(tested).index(pair)]
    sign = 1 if one["a"] == pair[0] else -1
    value, (low, high) = sign * one["difference"], sorted(sign * limit for limit in one["ci95"])
    return {
        "value": value,
        "ci95": [low, high],
        "found": f"difference in accuracy {_signed(value, low, high)}, {_p(p)}",
        "verdict": UNCLEAR if p >= 0.05 else REPRODUCED if value > 0 else NOT_REPRODUCED,
    }


def _compared(ratios, claimed, what, *, sign=1):
    """Judge that `claimed` has the highest (sign 1) or lowest (-1) of some values.

    Parameters
    ----------
    ratios : dict of str to tuple
        Each value, by name, as `intervals.combined_ratios` takes it.
    claimed : str
    what : str
        What the values are, for the text.
    sign : int
    """
    values = {name: intervals.combined_ratios(*one).value for name, one in ratios.items()}
    others = [name for name in ratios if name != claimed]
    ahead = {name: _difference(ratios[claimed], ratios[name], sign) for name in others}
    nearest = min(others, key=lambda name: ahead[name].value)
    value, (low, high) = ahead[nearest].value, intervals.change_interval(ahead[nearest])
    p = np.array([comparisons.change_test(one) for one in ahead.values()])
    above = np.array([one.value for one in ahead.values()]) > 0
    verdict = UNCLEAR
    if (above & (p < intervals.LEVEL)).all():
        verdict = REPRODUCED
    elif (~above & (comparisons.holm(p) < intervals.LEVEL)).any():
        verdict = NOT_REPRODUCED
    return {
        "value": value,
        "ci95": [low, high],
        "found": f"{what}: {claimed} {values[claimed]:.2f}, nearest other {nearest} "
        f"{values[nearest]:.2f}; distance {_signed(value, low, high)}",
        "verdict": verdict,
    }


def _difference(one, other, sign):
    """Estimate of one value less another, or the reverse, over the same artists."""
    parts, wholes, weights = (
        np.concatenate(pair, axis=-1) for pair in zip(one, other, strict=True)
    )
    weights = weights * np.repeat([sign, -sign], [len(one[2]), len(other[2])])
    return intervals.combined_ratios(parts, wholes, weights)


def _recall_of(counts, place):
    """Recall of one genre as `intervals.combined_ratios` takes it."""
    hits, true, _ = metrics.metric_ratios(counts)["recall"]
    return hits[:, [place]], true[:, [place]], np.ones(1)


def _best_genre(seen, *, name, genre):
    genres = [one.lower() for one in seen.results["corpus"]["genres"]]
    missing = _missing(seen, name)
    if not {*GENRES} <= {*genres}:
        missing = f"a corpus with {', '.join(GENRES)}"
    if missing:
        return _unmeasured(missing)
    ratios = {one: _recall_of(seen.counts[name], genres.index(one)) for one in GENRES}
    return _compared(ratios, genre, "recall")


def _extreme(seen, *, name, key, sign):
    missing = _missing(seen, *MODELS)
    if missing:
        return _unmeasured(missing)
    ratios = {one: metrics.metric_ratios(seen.counts[one])[key] for one in MODELS}
    return _compared(ratios, name, METRICS[key], sign=sign)


def _faster(seen, *, pair):
    missing = _missing(seen, *pair)
    if missing:
        return _unmeasured(missing)
    intervals = {}
    for clock in ("seconds", "cpu_seconds"):
        fast, slow = (pd.DataFrame(seen.runs[name]["folds"]).set_index("fold") for name in pair)
        later = (slow[clock] - fast[clock]).to_numpy(dtype=float)
        if len(later) < 2:
            return _unmeasured("more than one fold")
        reach = stats.t.ppf(0.975, len(later) - 1) * stats.sem(later)
        intervals[clock] = later.mean(), later.mean() - reach, later.mean() + reach
    verdicts = {_of(low, high) for _, low, high in intervals.values()}
    wall, cpu = ("{:+.1f} s [{:+.1f}, {:+.1f}]".format(*one) for one in intervals.values())
    value, low, high = intervals["seconds"]
    return {
        "value": value,
        "ci95": [low, high],
        "found": f"{CALLED[pair[1]]} minus {CALLED[pair[0]]}, per fold: {wall} (CPU time: {cpu})",
        "verdict": verdicts.pop() if len(verdicts) == 1 else UNCLEAR,
    }


def _change(seen, *, label, sign):
    """Judge that a change helps (sign 1), or that leaving it out hurts (-1)."""
    if label not in seen.effects.index:
        recordings = "chroma" in label or label == "waveform"
        return _unmeasured(_measuring(seen, recordings=recordings))
    row = seen.effects.loc[label]
    value, (low, high) = sign * row["difference"], sorted((sign * row["low"], sign * row["high"]))
    helps = {"helps": sign > 0, "hurts": sign < 0}
    verdict = {True: REPRODUCED, False: NOT_REPRODUCED, None: UNCLEAR}
    return {
        "value": value,
        "ci95": [low, high],
        "found": f"difference in accuracy {_signed(value, low, high)}, {_p(row['p_holm'])}",
        "verdict": verdict[helps.get(row["verdict"])],
    }


def _best_rate(seen, *, genre):
    """Judge that the RNN's rate of the paper is the best that was tried, for all or for a genre."""
    rates = {
        label: predictions
        for label, (variant, predictions) in seen.stored.items()
        if label == "rnn" or variant.question == ablation.RATE
    }
    if "rnn" not in rates or len(rates) < 2:
        return _unmeasured(_measuring(seen, recordings=False))
    genres = [one.lower() for one in seen.results["corpus"]["genres"]]
    if genre and genre not in genres:
        return _unmeasured(f"a corpus with {genre}")
    groups = scoring.groups_of(pd.read_parquet(seen.study / "folds.parquet"))
    ratios = {}
    for label, predictions in rates.items():
        tracks = scoring.track_probabilities(predictions)
        counts = metrics.group_confusions(tracks, groups, seen.results["corpus"]["genres"])
        name = label.removeprefix("rnn_") if label != "rnn" else "0.005"
        ratios[name] = (
            _recall_of(counts, genres.index(genre))
            if genre
            else metrics.metric_ratios(counts)["accuracy"]
        )
    return _compared(ratios, "0.005", f"recall of {genre}" if genre else "accuracy")


def table(found: dict) -> pd.DataFrame:
    """Claims, what was found, and the verdict, from `audit`, to be read."""
    rows = [
        {
            "topic": one["topic"],
            "claim": one["claim"],
            "found here": one["found"] or (f"needs {one['needs']}" if one["needs"] else ""),
            "verdict": one["verdict"] or "no verdict",
        }
        for one in found["claims"]
    ]
    return pd.DataFrame(rows)
