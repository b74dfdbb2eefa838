"""Write the numbers of README.md and of docs/ from the stored results.

    python docs/fill.py            # after results or benchmarks were made anew
    python docs/fill.py --check    # fails if a number in a text is not that of the results

A number stands between markers, ``<!-- NAME -->`` and ``<!-- /NAME -->``, and NAME is a function
of `BLOCKS`.
"""

import argparse
import re
import sys

import pandas as pd

from genre_utils import experiments, plots
from genre_utils.experiments import measurements
from genre_utils.report import first_page, sentences
from genre_utils.report.sentences import comparison
from genre_utils.workspace import files, model_names
from genre_utils.workspace.study_folder import StudyFolder

TEXTS = (files.ROOT / "README.md", *sorted((files.ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"<!-- ([a-z_]+) -->\n(?:.*?\n)?<!-- /\1 -->", re.DOTALL)
REAL = StudyFolder(files.ROOT / "reports" / "gtzan-mel")
HELD_OUT = StudyFolder(files.ROOT / "reports" / "gtzan-mel-valid")
SHORT = StudyFolder(files.ROOT / "reports" / "gtzan-excerpts")
BENCHMARKS = files.ROOT / "benchmarks"
SIDECAR = files.ROOT / "genre_utils" / "recognition" / "pretrained" / "gtzan.npz.json"


def finding() -> str:
    """Music, protocol and best model, and models by accuracy beside the paper's."""
    page = first_page.content(REAL, "", "")
    rows = [
        f"{page['protocol']} {page['finding']}",
        "",
        "| model | accuracy [95 % interval] | F1 | CPU time of training | the paper's accuracy |",
        "|---|---|---|---|---|",
    ]
    shown = {*(row["name"] for row in page["rows"][:4]), *model_names.PAPER_MODELS}
    for row in page["rows"]:
        if row["name"] in shown:
            told = (row["accuracy"], row["f1"][:4], row["cpu"], row["paper"])
            rows.append(f"| `{row['name']}` | {' | '.join(told)} |")
    count = len(page["rows"])
    tuned = "`_tuned`: settings searched per fold, search time excluded"
    rows += ["", f"All {count} are reported; {tuned}."]
    return "\n".join(rows)


def _accuracy(model):
    return plots.as_text(model["accuracy"], model["ci95"]["accuracy"])


def trust() -> str:
    """Accuracies on the tracks that took part in no choice."""
    results, parts = REAL.results, first_page.untouched(REAL)
    rows = parts.set_index("model")
    names = [name for name in ("hybrid", "cnn", "logistic", "rnn") if name in rows.index]
    others = ", ".join(
        f"{plots.as_text(rows.accuracy[name], (rows.low[name], rows.high[name]))} for `{name}`"
        for name in names
    )
    return f"{comparison.untouched(results, parts)} There, {others}."


def looks() -> str:
    """Accuracies on a part of all ten genres that no setting was chosen on, and at the first look.

    The log of looks has every model that was tried on it, in the order of time.
    """
    log, results = pd.read_csv(HELD_OUT.holdout_log), HELD_OUT.results
    shown = ("logistic", "fusion", "mlp", "hybrid_parallel", "cnn", "hybrid", "gru", "rnn")
    now = ", ".join(f"{_accuracy(results['models'][name])} for `{name}`" for name in shown)
    before = log.drop_duplicates("model").set_index("model")["accuracy"]
    then = ", ".join(f"{before[name]:.2f} for `{name}`" for name in ("fusion", "logistic", "cnn"))
    chance = 1 / len(results["corpus"]["genres"])
    looks = log["model"].value_counts().max()
    return (
        f"On all of the part *valid*, {log['tracks'].iloc[0]} tracks of ten genres (chance level "
        f"{chance:.2f}), models trained on the part *train* give {now}. It was looked at {looks} "
        "times, and nothing was chosen by it. The first time, earlier networks on coarser "
        f"spectrograms gave {then}."
    )


def leakage() -> str:
    """Accuracy of one model under three kinds of split."""
    return comparison.leakage(REAL.results["leakage"])


def claims() -> str:
    """The verdicts on the paper."""
    audit = REAL.results["audit"]
    arithmetic = audit["arithmetic"]
    return (
        f"{sentences.counted(audit)} Whatever the music, {arithmetic['inconsistent']} of "
        f"{arithmetic['checked']} checks of the paper's own table fail by arithmetic."
    )


def _points(row):
    change, low, high = (100 * row[name] for name in ("difference", "low", "high"))
    return f"{change:+z.1f} points [{low:+z.1f}, {high:+z.1f}]"


def recogniser() -> str:
    """Accuracy and speed of the recogniser that is part of the package."""
    sidecar = files.read_json(SIDECAR)
    accuracy = plots.as_text(sidecar["accuracy"]["value"], sidecar["accuracy"]["ci95"])
    last = sorted((BENCHMARKS / "history").glob("*-recognition.json"))[-1]
    figures = files.read_json(last)["result"]["figures"]
    return (
        "Without `--model` it asks two logistic regressions whose scores are added: on features, "
        "and on what the pretrained network musicnn hears, trained on "
        f"{sidecar['corpus']['tracks']} real tracks of ten genres (GTZAN). In artist-disjoint "
        f"cross-validation it is right for {accuracy} of {sidecar['accuracy']['tracks']} "
        f"recordings, most of them 3 s long; chance level is {1 / len(sidecar['labels']):.2f}. On "
        "two cores a folder of WAV files is recognised "
        f"{figures['times as fast as the music plays']['value']:,.0f} times as fast as it plays, "
        f"in {figures['memory, MB']['value']:.0f} MB however many files there are."
    )


def strange() -> str:
    """What the recogniser says of sounds that it was not made for."""
    return " ".join(files.read_json(BENCHMARKS / "strange.json")["says"])


def denoising() -> str:
    """What denoising before recognition is worth."""
    return sentences.denoising(experiments.denoising.compare(SHORT))


def coverage() -> str:
    """How often the intervals hold the truth."""
    stored = files.read_json(BENCHMARKS / "interval_coverage.json")
    usual = pd.DataFrame([one for one in stored["accuracies"] if one["accuracy"] < 0.9])
    ours, plain = 100 * usual["coverage"], 100 * usual["bootstrap_coverage"]
    return (
        f"Of a thousand simulated studies with accuracies below 0.9 they hold the truth in "
        f"{ours.min():.1f} to {ours.max():.1f} %; a plain bootstrap goes down to "
        f"{plain.min():.1f} % (`benchmarks/interval_coverage.py`)."
    )


def machines() -> str:
    """How far two machines differ."""
    stored = files.read_json(BENCHMARKS / "machines.json")
    found = pd.DataFrame(stored["models"]).T
    apart = found[found["probability"] > 0.05]
    share = 100 * apart["named_otherwise"]
    moved = 100 * abs(apart["accuracy"] - apart["accuracy_there"]).max()
    alike = found["probability"].drop(apart.index).max()
    return (
        "Machines round differently: of `demo` on two (same versions, other processors), "
        f"probabilities of {', '.join(f'`{name}`' for name in found.index.drop(apart.index))} "
        f"differ by {alike:.3f} at most; {', '.join(f'`{name}`' for name in apart.index)} part "
        f"ways: {share.min():.1f} to {share.max():.1f} % of the tracks are predicted otherwise, "
        f"and accuracies move by up to {moved:.1f} points (`benchmarks/machines.py`)."
    )


def peer() -> str:
    """Our networks beside the architecture of the most used open project."""
    stored = files.read_json(BENCHMARKS / "peer.json")
    value = {key: figure["value"] for key, figure in stored["figures"].items()}
    alike, in_full, best = ({**one, **_limits(one)} for one in stored["compared"][:3])
    ours, peers = (value[f"training seconds of {name}"] for name in ("ours", "peer"))
    full, top = (value[f"training seconds of {name}"] for name in ("peer in full", "our best"))
    called = "cnn_paper"  # was called cnn when this was measured
    epochs = next(run["epochs"] for run in stored["runs"] if run["network"] == "fusion")
    turned = {
        "difference": -in_full["difference"],
        "low": -in_full["high"],
        "high": -in_full["low"],
    }
    return (
        f"On one artist-disjoint split of ten genres ({len(stored['split']['test'])} test tracks, "
        f"three seeds, the same rule to stop both) `{called}` gets "
        f"{value['accuracy of ours']:.2f}, the other {value['accuracy of peer']:.2f} "
        f"({_points(alike)}), and trains {peers / ours:.0f} times as fast. In its full 150 epochs "
        f"the other gets {value['accuracy of peer in full']:.2f} after {full / 60:.0f} minutes, "
        f"{full / ours:.0f} times as long ({_points(turned)} over `{called}`). `fusion` of "
        f"version 0.1, {epochs} epochs on the same tracks, gets "
        f"{value['accuracy of our best']:.2f} after {top:.0f} seconds ({_points(best)} over "
        "that); its features and settings were developed on other splits of "
        "these tracks, a help that the other did not have."
    )


def _limits(one):
    return dict(zip(("low", "high"), one["ci95"], strict=True))


def networks() -> str:
    """Accuracy and cost of networks by size and length of training; worth of the recipe."""
    stored = files.read_json(BENCHMARKS / "networks.json")
    table = pd.DataFrame(stored["networks"]).set_index(["network", "change"])
    shown = ["half as wide", "", "twice as wide", "8 epochs", "30 epochs"]
    cells = {
        place: f"{row['accuracy']:.2f} [{row['low']:.2f}, {row['high']:.2f}], "
        f"{row['cpu_seconds']:.0f} s"
        for place, row in table.iterrows()
    }
    lines = [
        f"| network | {' | '.join(change or 'as it is' for change in shown)} |",
        "|---" * (len(shown) + 1) + "|",
    ]
    for name in table.index.unique("network"):
        lines.append(f"| `{name}` | {' | '.join(cells[name, change] for change in shown)} |")
    others = table.loc["cnn"].drop(index=shown).drop(columns=["low", "high"])
    others = others.rename(columns={"difference_low": "low", "difference_high": "high"})
    told = [f"{change} {_points(row)}" for change, row in others.iterrows()]
    said = f"{' '.join(stored['says'])} Of `cnn` also: {', '.join(told)}."
    return "\n".join([*lines, "", said])


def searched() -> str:
    """What settings searched inside each fold are worth, less the usual ones."""
    models = REAL.results["models"]
    pairs = [(name, model_names.untuned(name)) for name in models if model_names.is_tuned(name)]
    changes = measurements.judged(pd.DataFrame(measurements.paired(REAL, pairs)).T)
    told = ", ".join(
        f"`{usual}` {_accuracy(models[name])} ({_points(change)})"
        for (name, usual), change in changes.iterrows()
    )
    significant = int(changes["separable"].sum())
    return (
        f"Searched so, five trials a fold: {told}. Of these {len(changes)} changes, after "
        f"correction (Holm), significant: {significant or 'none'}."
    )


def extraction() -> str:
    """Speed of the feature pass."""
    stored = files.read_json(BENCHMARKS / "extraction.json")
    return (
        f"It is {stored['librosa_functions_over_shared_pass']} times as fast as librosa's "
        f"functions called one by one, and takes as long as {stored['shared_pass_over_stft']} "
        "STFTs (`make bench NAMES=extraction`)."
    )


BLOCKS = {
    block.__name__: block
    for block in (
        *(finding, trust, looks, leakage, claims, recogniser, strange),
        *(denoising, coverage, machines, networks, searched, peer, extraction),
    )
}


def filled(text: str) -> str:
    """The text with each block as the stored results have it now."""

    def fill(found):
        name = found.group(1)
        return f"<!-- {name} -->\n{BLOCKS[name]()}\n<!-- /{name} -->"

    return MARKED.sub(fill, text)


def main(arguments=None) -> int:
    """Fill, or check, every text; return how many were not as they should be when checking."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    check = parser.parse_args(arguments).check
    stale = 0
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        new = filled(text)
        if new != text:
            stale += 1
            print(f"{path.name}: {'is not of the stored results' if check else 'written'}")
            if not check:
                path.write_text(new, encoding="utf-8")
    return stale if check else 0


if __name__ == "__main__":
    sys.exit(main())
