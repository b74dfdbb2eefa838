"""Every claim of section 4 of the paper, and a verdict on each by a rule, from real music alone."""

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from genre_utils.evaluation import comparisons, intervals, metrics, scoring
from genre_utils.experiments import ablation
from genre_utils.paper.published import GENRES, METRICS, PAPER, check_arithmetic
from genre_utils.plots import formatting
from genre_utils.workspace import files
from genre_utils.workspace.model_names import PAPER_MODELS
from genre_utils.workspace.study_folder import StudyFolder

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
UNCLEAR, NOT_MEASURED = "not significantly different", "not measured"
_VERDICTS = (REPRODUCED, NOT_REPRODUCED, UNCLEAR, NOT_MEASURED)
_EARLIER = {"not separable": UNCLEAR}  # what reports that were stored before call it
_CALLED = {"cnn": "CNN", "rnn": "RNN", "hybrid": "hybrid"}


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
    by_label = {row["label"]: row for table in effects for _, row in table.iterrows()}
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
        value, ci95 and needs (what would measure it), None where that does not apply, and
        arithmetic: how many statements of the paper were checked, and how many cannot hold.
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
    blank = dict.fromkeys(("verdict", "found", "value", "ci95", "needs"))
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
        found[_EARLIER.get(one["verdict"], one["verdict"])].append(one)
    return found


def _other_genres(corpus):
    genres, theirs = {genre.lower() for genre in corpus["genres"]}, {*GENRES}
    said = f"The paper has {len(theirs)} genres. This study has {len(genres)}, of which "
    said += f"{len(genres & theirs)} are the paper's, and that is another task."
    return "" if genres == theirs else said


def _claims():
    """Topic, claim, rule and judge of every claim, in the order in which they are shown."""
    accuracy = PAPER["accuracy"]
    for name in PAPER_MODELS:
        claim = f"The {_CALLED[name]} reaches an accuracy of {accuracy[name]:.2f}."
        yield "Accuracy", claim, "level", partial(_level, name=name)
    pairs = list(itertools.pairwise(accuracy.sort_values(ascending=False).index))
    for pair in pairs:
        claim = "The {} is ahead of the {}.".format(*(_CALLED[name] for name in pair))
        yield "Order of the models", claim, "pair", partial(_ahead, pair=pair, family=pairs)
    for name in PAPER_MODELS:
        genre = PAPER.loc[name, list(GENRES)].astype(float).idxmax()
        claim = f"The {_CALLED[name]} is best at {genre}."
        yield "Best genre", claim, "highest", partial(_best_genre, name=name, genre=genre)
    for key, label in METRICS.items():
        name = PAPER[label].idxmax()
        claim = f"The {_CALLED[name]} has the highest {label} of the three."
        yield "Best measure", claim, "highest", partial(_extreme, name=name, key=key, sign=1)
    for key in ("precision", "recall", "f1"):
        claim = f"The hybrid has the lowest {METRICS[key]} of the three"
        said = PAPER[METRICS[key]].idxmin() == "hybrid"
        claim += "." if said else " (so the paper's text; its own table says otherwise)."
        yield "Best measure", claim, "highest", partial(_extreme, name="hybrid", key=key, sign=-1)
    for pair in itertools.pairwise(PAPER["hours"].sort_values().index):
        claim = "The {} trains faster than the {}.".format(*(_CALLED[name] for name in pair))
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
    profile = seen.results["profile"]
    full = (files.ROOT / "notebooks" / "profiles" / f"{profile}-full.yaml").exists()
    return f"the profile {profile}{'-full' if full else ' with MEASURE=true'}"


def _judged(value, limits, found, verdict):
    return {"value": value, "ci95": list(limits), "found": found, "verdict": verdict}


def _signed(value, limits):
    return "{:+.2f} [{:+.2f}, {:+.2f}]".format(value, *limits)


def _difference(value, limits, p):
    p_said = formatting.p_text(p) if p < 0.001 else f"= {formatting.p_text(p)}"
    return f"difference in accuracy {_signed(value, limits)}, p {p_said}"


def _level(seen, *, name):
    """Judge a number by whether it lies inside our interval: it can only be contradicted."""
    if {*seen.genres} != {*GENRES}:
        raise _UnmeasuredError(f"a corpus of just {', '.join(GENRES)}")
    _need(seen, name)
    model = seen.results["models"][name]
    value, (low, high) = model["accuracy"], model["ci95"]["accuracy"]
    verdict = UNCLEAR if low <= PAPER.loc[name, "accuracy"] <= high else NOT_REPRODUCED
    return _judged(value, (low, high), formatting.as_text(value, [low, high]), verdict)


def _ahead(seen, *, pair, family):
    """Judge that the first of a pair is ahead; where the results have not, correct for `family`."""
    _need(seen, *pair)
    by_pair = {frozenset((one["a"], one["b"])): one for one in seen.results["pairwise"]}
    tested = {names: by_pair[frozenset(names)] for names in family if frozenset(names) in by_pair}
    one, p_values = tested[pair], [other["p_value"] for other in tested.values()]
    p_holm = dict(zip(tested, comparisons.holm(p_values), strict=True))
    p = p_holm[pair] if one["p_holm"] is None else one["p_holm"]
    sign = 1 if one["a"] == pair[0] else -1
    value, limits = sign * one["difference"], sorted(sign * limit for limit in one["ci95"])
    verdict = UNCLEAR if p >= intervals.LEVEL else REPRODUCED if value > 0 else NOT_REPRODUCED
    return _judged(value, limits, _difference(value, limits, p), verdict)


def _compared(ratios, claimed, what, *, sign=1):
    """Judge that `claimed` has the highest (sign 1) or lowest (-1) ratio (of `what`) by name."""
    values = {name: intervals.combined_ratios(*one).value for name, one in ratios.items()}
    ahead = {
        name: _less(ratios[claimed], one, sign) for name, one in ratios.items() if name != claimed
    }
    nearest = min(ahead, key=lambda name: ahead[name].value)
    value, limits = ahead[nearest].value, intervals.change_interval(ahead[nearest])
    p = np.array([comparisons.change_test(one) for one in ahead.values()])
    above = np.array([one.value for one in ahead.values()]) > 0
    verdict = UNCLEAR
    if (above & (p < intervals.LEVEL)).all():
        verdict = REPRODUCED
    elif (~above & (comparisons.holm(p) < intervals.LEVEL)).any():
        verdict = NOT_REPRODUCED
    found = f"{what}: {claimed} {values[claimed]:.2f}, nearest other {nearest} "
    found += f"{values[nearest]:.2f}; distance {_signed(value, limits)}"
    return _judged(value, limits, found, verdict)


def _less(one, other, sign):
    """Estimate of one value less another, or the reverse, over the same artists."""
    signed = zip((*one[:2], sign * one[2]), (*other[:2], -sign * other[2]), strict=True)
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
    return _compared(ratios, genre, "recall")


def _extreme(seen, *, name, key, sign):
    _need(seen, *PAPER_MODELS)
    counts = {one: scoring.confusions(seen.study, one) for one in PAPER_MODELS}
    ratios = {one: metrics.metric_ratios(counts[one])[key] for one in PAPER_MODELS}
    return _compared(ratios, name, METRICS[key], sign=sign)


def _faster(seen, *, pair):
    """Judge by the CPU seconds per fold: what else ran on the machine says nothing of a network."""
    _need(seen, *pair)
    tables = (pd.DataFrame(seen.study.run(name)["folds"]).set_index("fold") for name in pair)
    fast, slow = (table["cpu_seconds"].astype(float) for table in tables)
    more = (slow - fast).to_numpy()
    if (count := len(more)) < 2:
        raise _UnmeasuredError("more than one fold")
    mean, reach = more.mean(), stats.t.ppf(0.975, count - 1) * stats.sem(more)
    low, high = mean - reach, mean + reach
    verdict = REPRODUCED if low > 0 else NOT_REPRODUCED if high < 0 else UNCLEAR
    found = f"{_CALLED[pair[1]]} minus {_CALLED[pair[0]]}, CPU time per fold: "
    return _judged(mean, (low, high), found + f"{mean:+.1f} s [{low:+.1f}, {high:+.1f}]", verdict)


def _change(seen, *, label, sign):
    """Judge that a change helps (sign 1), or that leaving it out hurts (-1)."""
    if label not in seen.effects:
        of_sound = "chroma" in label or label == "waveform"
        raise _UnmeasuredError(_measuring(seen, recordings=of_sound))
    row = seen.effects[label]
    value, limits = sign * row["difference"], sorted((sign * row["low"], sign * row["high"]))
    helps = {"helps": sign > 0, "hurts": sign < 0}.get(row["verdict"])
    verdict = {True: REPRODUCED, False: NOT_REPRODUCED, None: UNCLEAR}[helps]
    return _judged(value, limits, _difference(value, limits, row["p_holm"]), verdict)


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
    return _compared(ratios, "0.005", f"recall of {genre}" if genre else "accuracy")
