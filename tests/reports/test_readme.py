"""The README tells the truth: its table is that of the reference run, its commands exist."""

import re

import machines
import pandas as pd
import pytest

from genre_utils.evaluation import study_results
from genre_utils.experiments import ablation
from genre_utils.paper import published
from genre_utils.plots import formatting
from genre_utils.report import profiles
from genre_utils.report.sentences import comparison as comparison_sentences
from genre_utils.workspace import files
from study_runs import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results():
    return files.read_json(ROOT / "reports" / "gtzan-mel" / "results.json")


def table(results):
    """Rows of the README's table, from results.json."""
    rows = ["| model | accuracy, 95 % interval | F1 | paper's accuracy |", "|---|---|---|---|"]
    order = sorted(results["models"], key=lambda name: -results["models"][name]["accuracy"])
    for name in order:
        model = results["models"][name]
        accuracy = formatting.as_text(model["accuracy"], model["ci95"]["accuracy"])
        claim = (
            f"{published.PAPER.loc[name, 'accuracy']:.2f}" if name in published.PAPER.index else ""
        )
        rows.append(f"| `{name}` | {accuracy} | {model['f1']:.2f} | {claim} |")
    return "\n".join(rows)


def test_the_table_is_that_of_the_reference_run(results):
    assert table(results) in README


def test_the_four_at_the_top_are_ahead_of_the_cnn_and_none_of_another(results):
    accuracy = {name: model["accuracy"] for name, model in results["models"].items()}
    order = sorted(accuracy, key=accuracy.get, reverse=True)
    assert set(order[4:6]) == {"svm", "knn"}  # which read handcrafted features, too
    top = order[:4]
    assert set(top) == {"fusion", "logistic", "ensemble", "mlp"}
    for pair in results["pairwise"]:
        names = {pair["a"], pair["b"]}
        if names <= {*top, "cnn"}:
            assert pair["separable"] == ("cnn" in names)


def worth_of_the_search(results, name):
    """What searched settings change, in points of accuracy, as the README says it."""
    both = {name, f"{name}_tuned"}
    (pair,) = [pair for pair in results["pairwise"] if {pair["a"], pair["b"]} == both]
    sign = 100 if pair["b"] == name else -100
    low, high = sorted(sign * limit for limit in pair["ci95"])
    return f"`{name}` by {sign * pair['difference']:+z.1f} points [{low:+.1f}, {high:+.1f}]"


def test_what_searched_settings_are_worth_is_that_of_the_reference_run(results):
    said = " ".join(README.split())
    for name in ("cnn", "rnn", "hybrid"):
        assert worth_of_the_search(results, name) in said


def test_the_verdicts_on_the_paper_are_those_of_the_reference_run(results):
    said, audit = " ".join(README.split()), results["audit"]
    assert comparison_sentences.counted(audit) in said
    arithmetic = audit["arithmetic"]
    assert f"{arithmetic['inconsistent']} of {arithmetic['checked']} statements" in said


def test_the_corpus_is_that_of_the_reference_run(results):
    corpus = results["corpus"]
    assert f"{corpus['tracks']} real tracks" in README
    assert f"{corpus['artists']} artists" in README
    assert corpus["synthetic"] is False and len(corpus["genres"]) == 4


def test_the_prices_of_leakage_are_those_of_the_reference_run(results):
    for split in ("segment", "artist"):
        assert f"{results['leakage'][split]:.0%}".replace("%", " %") in README


def test_accuracy_where_nothing_was_chosen_is_that_of_the_reference_run():
    shown = study_results.accuracy_by_split(ROOT / "reports" / "gtzan-mel")
    assert [*shown.columns] == ["train, 175 tracks", "valid, 74 tracks"]
    valid, said = shown["valid, 74 tracks"], " ".join(README.split())
    assert valid["fusion"] == valid["logistic"]
    assert f"holds 175 of these {175 + 74} tracks" in said
    assert f"`fusion` and `logistic` reach {valid['fusion']}" in said
    assert f"`hybrid` ({valid['hybrid']}), and `cnn` {valid['cnn']}" in said


def test_the_first_look_at_the_held_out_part_is_that_of_the_log():
    results = files.read_json(ROOT / "reports" / "gtzan-mel-valid" / "results.json")
    looks = pd.read_csv(ROOT / "reports" / "gtzan-mel-valid" / "looks.csv")
    first = looks.drop_duplicates("model").set_index("model")
    for name in ("fusion", "logistic", "cnn"):
        model = results["models"][name]
        said = formatting.as_text(model["accuracy"], model["ci95"]["accuracy"])
        assert said in " ".join(README.split())
        assert first.loc[name, "accuracy"] == pytest.approx(model["accuracy"], abs=1e-3)
    assert f"{first['tracks'].iloc[0]} tracks of ten genres" in README


def test_the_committed_model_is_as_good_as_it_says():
    sidecar = files.read_json(
        ROOT / "genre_utils" / "recognition" / "pretrained" / "gtzan.npz.json"
    )
    accuracy = sidecar["accuracy"]
    said = " ".join(README.split())
    assert f"names {formatting.as_text(accuracy['value'], accuracy['ci95'])} of them" in said
    assert f"{sidecar['corpus']['tracks']} real tracks of ten genres" in said


def test_the_coverage_of_the_intervals_is_what_was_measured():
    stored = files.read_json(ROOT / "benchmarks" / "interval_coverage.json")
    usual = [one for one in stored["accuracies"] if one["accuracy"] < 0.9]
    ours = [100 * one["coverage"] for one in usual]
    plain = [100 * one["bootstrap_coverage"] for one in usual]
    said = " ".join(README.split())
    assert f"hold the truth in {min(ours):.1f} to {max(ours):.1f} %" in said
    assert f"bootstrap goes down to {min(plain):.1f} %" in said


def test_how_far_machines_differ_is_what_was_measured():
    stored = files.read_json(ROOT / "benchmarks" / "machines.json")
    found = pd.DataFrame(stored["models"]).T
    apart = found[found["probability"] > machines.CLOSE]
    assert {"cnn", "cnn1d", "hybrid"} <= set(apart.index)
    assert not {"rnn", "gru", "lstm", "mlp", "svm"} & set(apart.index)
    said, share = " ".join(README.split()), 100 * apart["named_otherwise"]
    moved = 100 * abs(apart["accuracy"] - apart["accuracy_there"]).max()
    assert f"differ by {found['probability'].drop(apart.index).max():.3f} at most" in said
    assert f"name {share.min():.1f} to {share.max():.1f} % of the tracks otherwise" in said
    assert f"up to {moved:.1f} points of accuracy" in said


def test_ideas_that_earned_no_place_are_those_that_were_measured():
    stored = files.read_json(ROOT / "benchmarks" / "ideas.json")
    said, found = " ".join(README.split()), pd.DataFrame(stored["ideas"])
    assert not found["separable"].any() and f"{len(found)} comparisons none" in said
    best = found["difference"].idxmax()
    fusion = found.index[found["network"] == "fusion"][0]
    for row in (best, fusion):
        change, low, high = 100 * found.loc[row, ["difference", "low", "high"]].astype(float)
        assert f"({change:+.1f} points [{low:+.1f}, {high:+.1f}]" in said
    assert found["idea"][best] == "changes from frame to frame" and stored["seeds"] == 3


def test_what_augmentation_is_worth_is_that_of_the_reference_run():
    table = ablation.compare(ROOT / "reports" / "gtzan-mel")
    table = table[table["question"] == ablation.TRAINING].set_index("label")
    row = 100 * table.loc["in_training", ["difference", "low", "high"]].astype(float)
    said = f"{row['difference']:+.1f} points [{row['low']:+.1f}, {row['high']:+.1f}]"
    assert said in " ".join(README.split())
    assert (table["verdict"] == "not separable").all() and len(table) == 4


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_its_profiles_and_parameters_exist():
    named = set(re.findall(r"--profile ([\w-]+)", README))
    named |= set(re.findall(r"^\| `([\w-]+)` \|.*minutes \|$", README, re.M))
    assert named == {path.stem for path in profiles.PROFILES.glob("*.yaml")}
    parameters = set(re.findall(r"--set '?([A-Z_]+)=", README)) - {"NAME"}
    assert profiles.choose_notebooks({name: [] for name in parameters})


def test_how_fast_a_folder_is_recognised_is_what_was_measured_last():
    last = sorted((ROOT / "benchmarks" / "history").glob("*-recognition.json"))[-1]
    figures = files.read_json(last)["result"]["figures"]
    text = re.sub(r"\s+", " ", README)
    assert f"{figures['times as fast as the music plays']['value']:,.0f} times as fast" in text
    assert f"in {figures['memory, MB']['value']:.0f} MB for 10,000 files as for 1,000" in text
    assert figures["memory for 10,000 files over that for 1,000"]["met"]


def test_how_a_published_network_compares_is_what_was_measured():
    stored = files.read_json(ROOT / "benchmarks" / "peer.json")
    value = {key: figure["value"] for key, figure in stored["figures"].items()}
    alike, in_full, best = stored["compared"][:3]
    text, (low, high) = re.sub(r"\s+", " ", README), (100 * limit for limit in alike["ci95"])
    times = value["training seconds of peer"] / value["training seconds of ours"]
    apart = f"{100 * alike['difference']:+.0f} points [{low:+.0f}, {high:+.0f}]"
    both = f"`cnn` gets {value['accuracy of ours']:.2f} against {value['accuracy of peer']:.2f}"
    assert f"{both}, {apart}, trained {times:.0f} times as fast" in text
    assert f"{len(stored['split']['test'])} test tracks" in text
    assert in_full["b"] == ["peer, 150 epochs"]
    seconds = value["training seconds of peer in full"]
    times = seconds / value["training seconds of ours"]
    full = f"{value['accuracy of peer in full']:.2f} after {seconds / 60:.0f} minutes"
    low, high = (-100 * limit for limit in reversed(in_full["ci95"]))
    more = f"{-100 * in_full['difference']:.0f} points more [{low:+.0f}, {high:+.0f}]"
    assert f"{full}, {times:.0f} times as long: {more} than our `cnn`" in text
    assert best["a"][0] == "fusion, seed 0" and best["b"] == in_full["b"]
    ours = value["training seconds of our best"]
    features = {run["prepare_seconds"] for run in stored["runs"] if run["network"] == "fusion"}
    took = f"after {ours:.0f} seconds ({max(features):.0f} more for its features)"
    assert f"gets {value['accuracy of our best']:.2f} {took}, {seconds / ours:.0f} times" in text
    low, high = (100 * limit for limit in best["ci95"])
    assert f"{100 * best['difference']:+.0f} points [{low:+.0f}, {high:+.0f}] on that" in text
    assert low < 0 < high and "ahead but not separable" in text
