"""Benchmarks run, are kept with the state of the machine, and say what follows from what is stored.

The stored measurements are of the code that is here.
"""

import dataclasses
import importlib
import re
import shutil
import sys
import time

import machines
import measuring
import memory
import numpy as np
import pandas as pd
import pytest
import recognition
import run
import strange
import study

import extraction
import scaling
from genre_utils.evaluation import scoring
from genre_utils.features import recipes
from genre_utils.recognition import exported_model
from genre_utils.workspace import evidence, files
from genre_utils.workspace.study_folder import StudyFolder
from small_study import tiny_network, uncompiled, write_small_study

STORED = files.ROOT / "benchmarks" / "extraction.json"
PEER = files.ROOT / "benchmarks" / "peer.json"


def test_the_stored_extraction_benchmark_is_of_this_code_and_holds_what_is_claimed():
    stored = files.read_json(STORED)
    assert stored["code"] == evidence.code("features of a clip"), (
        "what it measured has changed: run python benchmarks/run.py extraction on a quiet machine"
    )
    times = stored["milliseconds"]
    assert set(extraction.REFERENCES) <= set(times)
    shared, stft = times["shared pass"], times["librosa.stft"]
    alone = sum(times[name] for name in extraction.LIBROSA)
    assert stored["librosa_functions_over_shared_pass"] == round(alone / shared, 1)
    assert stored["shared_pass_over_stft"] == round(shared / stft, 1) <= 8
    floor = stft + sum(times[f"{name}, floor"] for name in extraction.COSTLY)
    assert stored["everything_over_floor"] == round(times["everything"] / floor, 1)
    assert stored["says"] == extraction.told(stored)
    assert stored["figures"] == extraction.figures(stored)


def test_handing_results_on_changes_no_value_and_computes_one_spectrum(monkeypatch):
    y = np.random.default_rng(0).normal(0, 0.1, 22050 * 4).astype(np.float32)
    recipe, calls, stft = recipes.Recipe(), [], extraction.librosa.stft
    alone = extraction.OneAtATime(y, recipe)
    expected = {name: alone[name] for name in extraction.LIBROSA}

    def counted(*given, **options):
        calls.append(given)
        return stft(*given, **options)

    for module in (extraction.librosa, sys.modules["librosa.core.spectrum"]):
        monkeypatch.setattr(module, "stft", counted)
    found = extraction.handed_on(y, recipe)
    assert len(calls) == 1
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


# ---------------------------------------------------------------------------- what all share


def test_a_figure_says_whether_it_meets_its_goal():
    assert measuring.figure(3.0) == {"value": 3.0}
    assert measuring.figure(7.9, least=8) == {"value": 7.9, "least": 8, "met": False}
    assert measuring.figure(1.0, most=1.1) == {"value": 1.0, "most": 1.1, "met": True}


def test_the_work_of_others_makes_a_machine_busy_and_ones_own_does_not(monkeypatch):
    def processors(*seconds):
        values = iter(seconds)
        monkeypatch.setattr(measuring, "_processor_seconds", lambda: next(values))

    monkeypatch.setattr(measuring.psutil, "cpu_count", lambda: 2)
    processors((100.0, 10.0), (100.05, 10.05))
    with measuring.Watch() as watch:
        time.sleep(0.05)
    assert watch.state["busy"] is False and watch.state["others"] == 0
    processors((100.0, 10.0), (100.08, 10.0))
    with measuring.Watch() as watch:
        time.sleep(0.05)
    assert watch.state["busy"] is True and watch.state["others"] > 0.2
    assert set(watch.state["load_average"]) == {"before", "after"}


def test_what_a_command_took_and_held_is_measured_and_its_failure_told():
    lines = "import time; x = b'1' * (200 << 20); time.sleep(0.2)"
    took = measuring.run_alone([sys.executable, "-c", lines])
    assert 200 < took["peak_mb"] < 250  # not this process's own
    assert took["cpu_seconds"] > 0 and took["seconds"] > 0
    with pytest.raises(RuntimeError, match="ended with status 5"):
        measuring.run_alone([sys.executable, "-c", "import sys; sys.exit(5)"])


# ---------------------------------------------------------------------------- runs and their page


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of benchmarks: one that measures, one that has nothing to, and one that fails."""
    shared = "import sys; sys.path.insert(0, {!r}); import measuring\n"
    shared = shared.format(str(files.ROOT / "benchmarks"))
    good = """
options = measuring.parser("A benchmark.").parse_args()
value = 1 if options.quick else 2
figures = {"a <speed>": measuring.figure(value, least=2)}
measuring.show({"says": ["It is <fast>."], "figures": figures}, options.json)
"""
    (tmp_path / "extraction.py").write_text(shared + good)
    (tmp_path / "peer.py").write_text(shared + "measuring.left_out('no data')")
    (tmp_path / "memory.py").write_text("raise SystemExit(1)")
    (tmp_path / "page.html.j2").write_text((run.HERE / "page.html.j2").read_text())
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(files.ROOT))
    return tmp_path


def test_each_run_is_kept_and_the_page_draws_them_offline(folder, monkeypatch, capfd):
    history = folder / "history"
    for more in ([], ["--quick"]):
        command = ["run.py", "extraction", "peer", "--history", str(history), *more]
        monkeypatch.setattr(sys, "argv", command)
        assert run.main() == 0
    assert "no data" in capfd.readouterr().err
    assert files.read_json(folder / "extraction.json")["figures"]["a <speed>"]["value"] == 2
    full, quick = sorted(
        map(files.read_json, history.glob("*-extraction.json")), key=lambda one: one["quick"]
    )
    assert len(list(history.glob("*.json"))) == 2
    assert quick["result"]["figures"]["a <speed>"] == {"value": 1, "least": 2, "met": False}
    assert {"cpu", "cores", "threads", "load_average", "others", "busy"} <= set(full["machine"])
    assert full["commit"] is None or re.fullmatch("[0-9a-f]{40}", full["commit"])
    page = (history / "index.html").read_text()
    assert "It is &lt;fast&gt;." in page and "a &lt;speed&gt;" in page
    assert page.count("data:image/svg+xml;base64,") == 1
    assert not re.search(r"(src|href)=\"(?!data:|#)|url\(|@import|<script", page)


def test_a_failing_benchmark_is_named_and_the_others_run(folder, monkeypatch, capfd):
    command = ["run.py", "memory", "extraction", "--quick", "--history", str(folder / "history")]
    monkeypatch.setattr(sys, "argv", command)
    assert run.main() == 1
    assert "the benchmark memory failed with status 1" in capfd.readouterr().err
    assert [path.suffix for path in (folder / "history").glob("*-extraction.json")] == [".json"]
    monkeypatch.setattr(sys, "argv", ["run.py", "speed"])
    with pytest.raises(SystemExit):
        run.main()


def test_the_scripts_that_are_run_are_there():
    assert all((run.HERE / f"{name}.py").is_file() for name in run.NAMES)


# ---------------------------------------------------------------------------- one by one


def test_the_stages_of_a_study_are_told_in_minutes(tmp_path):
    for name, content in {
        "01_data": {"seconds": 90.0, "cpu_seconds": 150.0},
        "02_features": {"seconds": 30.0, "cpu_seconds": 30.0},
        "reports": {"key": "it has no time"},
    }.items():
        files.write_json(tmp_path / "stages" / f"{name}.json", content)
    result = study.measure([tmp_path])
    each = "01_data 1.5 (2.5), 02_features 0.5 (0.5)"
    assert result["says"] == [f"{tmp_path.name}: 2.0 minutes, 3.0 CPU-minutes ({each})."]
    assert [figure["value"] for figure in result["figures"].values()] == [2.0, 3.0]


def test_no_two_files_that_are_recognised_are_the_same(tmp_path):
    sources = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path in sources:
        path.write_text(path.name)
    found = sorted(recognition.fill(tmp_path / "many", sources, 5).iterdir())
    assert [path.read_bytes()[:1] for path in found] == [*map(str.encode, "ababa")]
    assert len({path.read_bytes() for path in found}) == 5


def test_the_stored_answers_to_strange_sounds_are_of_the_model_that_is_here():
    stored = files.read_json(files.ROOT / "benchmarks" / "strange.json")
    assert stored["model"] == exported_model.read_sidecar(exported_model.PRETRAINED)["sha256"], (
        "the recogniser has changed: run python benchmarks/run.py strange"
    )
    again = strange.told({key: stored[key] for key in ("kinds", "silence")})
    assert again["says"] == stored["says"] and again["figures"] == stored["figures"]
    assert set(strange.KINDS) == set(stored["kinds"])
    assert all(stored["kinds"][kind]["unlike"] > 0.9 for kind in ("noise", "tones and clicks"))
    assert all(one["unlike_short"] <= one["unlike"] for one in stored["kinds"].values())


@pytest.mark.parametrize("kind", ["noise", "tones and clicks", "applause"])
def test_strange_sounds_are_several_and_heard(kind):
    several = list(strange.KINDS[kind](4))
    assert len(several) == 4 and all(len(y) == 30 * strange.SR and y.std() > 0 for y in several)
    assert not np.array_equal(several[0], several[-1])


def test_throughput_is_music_over_time_and_memory_is_compared_between_sizes():
    runs = [
        {"recognize": {"seconds": s, "cpu_seconds": 20.0}, "librosa": {"cpu_seconds": 10.0}}
        for s in (10.0, 12.0, 40.0)
    ]
    sizes = [{"files": 10, "peak_mb": 300.0}, {"files": 100, "peak_mb": 360.0}]
    found = {"files": 100, "music_seconds": 3000.0, "runs": runs, "memory": sizes}
    figures = recognition.told(found)["figures"]
    assert figures["times as fast as the music plays"] == measuring.figure(250.0, least=150)
    assert figures["processor time over librosa's for mel spectrograms"]["value"] == 2
    assert figures["memory for 100 files over that for 10"] == measuring.figure(1.2, most=1.1)


def test_memory_of_an_extraction_is_compared_between_sizes():
    rows = [
        {"clips": n, "before_mb": 200.0, "peak_mb": peak, "largest_worker_mb": 300.0, "store_mb": 9}
        | {"training_mb": 700.0 + n / 1000, "array_mb": n / 10}
        for n, peak in ((1000, 250.0), (10_000, 260.0))
    ]
    figures = memory.told(rows)["figures"]
    name = "memory of the process for 10,000 clips over that for 1,000"
    assert figures[name] == measuring.figure(1.04, most=1.1)
    name = "memory of training for 10,000 clips over that for 1,000"
    assert figures[name] == measuring.figure(710 / 701, most=1.1)


# ---------------------------------------------------------------------------- the peer


def test_the_document_on_scaling_shows_what_was_measured():
    stored = files.read_json(files.ROOT / "benchmarks" / "scaling.json")
    document = (files.ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert scaling.block(stored) in document
    assert scaling.written_anew(document, stored) == document
    assert list(stored["workers"]) == ["1", "2"]


def test_the_document_on_scaling_shows_the_memory_that_was_measured():
    last = sorted((files.ROOT / "benchmarks" / "history").glob("*-memory.json"))[-1]
    small, large = files.read_json(last)["result"]["sizes"]
    document = (files.ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    words = re.sub(r"\s+", " ", document)
    assert f"from {small['clips']:,} to {large['clips']:,} clips" in words
    for key in ("largest_worker_mb", "peak_mb", "training_mb"):
        assert f"from {small[key]:.0f} to {large[key]:.0f} MB" in words
    more = (large["peak_mb"] - small["peak_mb"]) / (large["clips"] - small["clips"])
    assert f"{1024 * more:.1f} kB for each further track" in words


def test_what_grows_with_the_music_grows_in_proportion():
    stored = files.read_json(files.ROOT / "benchmarks" / "scaling.json")
    more = scaling.SIZES["10 million tracks"] / scaling.SIZES["fma_large"]
    for less, much in scaling.extrapolated(stored).values():
        assert much == pytest.approx(more * less)
    array = scaling.extrapolated(stored)["array of all excerpts, GB"][0]
    assert array == pytest.approx(106_574 * stored["bytes_a_clip"]["log_mel"] / 1e9)


@pytest.fixture(scope="module")
def peer():
    pytest.importorskip("keras")
    return importlib.import_module("peer")


@pytest.fixture(scope="module")
def small_store(tmp_path_factory):
    """Two genres by four artists with two tracks each; those of `valid` must not be looked at."""
    folder = tmp_path_factory.mktemp("store")
    rows = [
        (f"{genre}{artist}{n}", genre, f"{genre} {artist}", "train" if artist < "e" else "valid")
        for genre in ("jazz", "rock")
        for artist in "abcde"
        for n in range(2)
    ]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist", "split"])
    tracks.to_csv(folder / "tracks.csv", index=False)
    sound = np.random.default_rng(0).random((len(tracks), 48, 32)).astype(np.float16)
    sound[tracks["split"] == "valid"] = np.nan
    np.save(folder / "log_mel.npy", sound)
    return folder


def test_the_peer_comparison_keeps_each_training_and_never_reads_the_valid_part(
    peer, small_store, tmp_path, monkeypatch
):
    monkeypatch.setattr(peer, "SIZE", 32)  # quicker
    path = tmp_path / "peer.json"
    plan = peer.planned("cnn_paper", 1, 1, 0)
    with uncompiled():
        result = peer.benchmark(small_store, plan, 1, path)
    assert [peer.label(run) for run in result["runs"]] == ["cnn_paper, seed 0", "peer, seed 0"]
    assert result["split"]["tracks"] == {"test": 4, "train": 10, "validation": 2}
    assert not any(name[4] == "e" for name in result["split"]["test"])
    assert files.read_json(path) == result
    assert "cnn_paper, seed 0" in peer.shown(result)
    monkeypatch.setattr(peer, "measure", None)  # nothing is trained again
    assert peer.benchmark(small_store, plan, 1, path) == result
    parts = [tmp_path / "a.json", tmp_path / "b.json"]
    for part, kind in zip(parts, ("peer", "model"), strict=True):
        files.write_json(part, result)  # what is not of its plan is dropped
        chosen = peer.chosen(plan, kind, 0)
        assert len(peer.benchmark(small_store, chosen, 1, part)["runs"]) == 1
    parts = [files.read_json(part) for part in parts]
    assert peer.merged(parts) == result
    with pytest.raises(ValueError, match="a training twice"):
        peer.merged([*parts, parts[0]])
    with pytest.raises(ValueError, match="differ in their environment"):
        peer.merged([parts[0], parts[1] | {"environment": {}}])


def test_a_part_of_the_trainings_can_be_chosen(peer):
    plan = peer.planned("cnn", 3, 30, 150)
    assert len(plan) == 10
    assert [peer.label(run) for run in peer.chosen(plan, "peer", 1)] == ["peer, seed 1"]
    assert [peer.label(run) for run in peer.chosen(plan, "full", None)] == ["peer, 150 epochs"]
    assert [peer.label(run) for run in peer.chosen(plan, "best", 2)] == ["fusion, seed 2"]
    assert len(peer.chosen(plan, None, 2)) == 3 and not peer.chosen(plan, "full", 2)


def test_the_peer_is_the_published_network_and_its_windows_overlap_by_half(peer):
    assert peer.build_peer(10).count_params() == 2_495_114
    log_mel = np.arange(387)[np.newaxis, :, np.newaxis] * np.ones((2, 1, 128))
    cut = peer.windows(log_mel)
    assert cut.shape == (2, 5, 128, 128)
    assert cut[0, :, 0, 0].tolist() == [0, 64, 128, 192, 256]
    with pytest.raises(ValueError, match="128 mel bands"):
        peer.windows(log_mel[:, :, :64])


def test_the_windows_of_a_track_vote_and_the_mean_probability_breaks_ties(peer):
    rows = [("won", 0.6), ("won", 0.6), ("won", 0.0), ("tied", 0.6), ("tied", 0.3)]
    table = pd.DataFrame(rows, columns=["track_id", "p_jazz"])
    table = table.assign(p_rock=1 - table["p_jazz"], y_true="jazz", fold=0)
    table["excerpt"] = table.groupby("track_id").cumcount()
    assert peer.majority(table).set_index("track_id")["y_pred"].to_dict() == {
        "won": "jazz",
        "tied": "rock",
    }
    assert set(scoring.track_probabilities(table)["y_pred"]) == {"rock"}


def test_two_networks_are_compared_on_the_same_tracks_by_seed_and_over_all_seeds(peer):
    groups = pd.Series({"a": "A", "b": "B", "c": "C", "d": "D"})
    runs = [
        {"network": network, "seed": seed, "max_epochs": 5, "stopping": True, "wrong": wrong}
        for seed, network, wrong in [
            (0, "cnn", ["a"]),
            (0, "peer", ["a", "b"]),
            (1, "cnn", []),
            (1, "peer", ["c"]),
        ]
    ]
    runs.append({**runs[1], "max_epochs": 9, "stopping": False, "wrong": list("abcd")})
    found = peer.compared(runs, groups)
    assert [pair["difference"] for pair in found] == [0.25, 0.875, 0.25, 0.25]
    assert found[0]["a"] == ["cnn, seed 0", "cnn, seed 1"]
    assert found[1]["b"] == ["peer, 9 epochs"]
    assert found[1]["p_value"] == 2 / 2**4  # better on the tracks of all four artists
    assert found[2]["p_value"] == 1.0
    best = {"network": "fusion", "seed": 0, "max_epochs": 1, "stopping": False, "wrong": ["a"]}
    assert peer.compared([best, runs[-1]], groups)[0]["difference"] == 0.75
    apart = peer.compared([runs[1], runs[2]], groups)  # of different seeds: not compared
    assert apart == []


def test_the_stored_peer_comparison_is_complete_and_follows_from_its_answers(peer):
    stored = files.read_json(PEER)
    groups = pd.Series(stored["split"]["test"])
    assert peer.scored(stored["runs"], groups) == stored["runs"]
    assert peer.compared(stored["runs"], groups) == stored["compared"]
    assert peer.told(stored) == stored["says"]
    stopped = [run["network"] for run in stored["runs"] if run["stopping"]]
    assert stopped.count("peer") == len(stopped) / 2 >= 3
    in_full = [run for run in stored["runs"] if not run["stopping"]]
    assert [run["max_epochs"] for run in in_full if run["network"] == "peer"] == [150]
    assert sum(run["network"] == peer.BEST for run in in_full) == 3


# ------------------------------------------------------------------ two machines


@pytest.fixture(name="two_reports")
def two_reports_fixture(tmp_path):
    """The same two models of a study, twice, as two machines would leave them."""
    report = files.ROOT / "reports" / "gtzan-mel"
    places = tmp_path / "here", tmp_path / "there"
    for place in places:
        for name in ("runs/knn.json", "runs/svm.json"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(report / name, place / name)
        for name in ("knn", "svm"):
            table = pd.read_parquet(report / "predictions" / f"{name}.parquet")
            files.write_table(place / "predictions" / f"{name}.parquet", table)
    return places


def test_machines_that_agree_are_said_to_and_one_answer_that_differs_is_found(two_reports):
    here, there = two_reports
    assert not machines.compared(here, there)[["probability", "named_otherwise"]].any(axis=None)
    path = there / "predictions" / "svm.parquet"
    table = pd.read_parquet(path)
    track = table["track_id"] == table["track_id"].iloc[0]
    columns = scoring.probability_columns(table)
    wrong = [c for c in columns if c != f"p_{table['y_true'].iloc[0]}"]
    table.loc[track, columns] = 0.0
    table.loc[track, wrong[0]] = 1.0
    files.write_table(path, table.sample(frac=1, random_state=0))  # in any order
    found = machines.compared(here, there)
    assert found.loc["knn", "probability"] == 0 < found.loc["svm", "probability"]
    assert found.loc["svm", "named_otherwise"] == 1 / 249
    assert found.loc["svm", "accuracy"] - found.loc["svm", "accuracy_there"] == pytest.approx(
        1 / 249
    )
    first, second = machines.told(found)
    assert first == "Probabilities of knn differ by 0.000 at most."
    assert "Those of svm part ways: 0.4 to 0.4 % of the tracks" in first + second


def test_what_differs_by_more_than_the_machine_is_not_compared(two_reports):
    here, there = two_reports
    run = StudyFolder(there).run("svm") | {"seed": 7}
    files.write_json(there / "runs" / "svm.json", run)
    with pytest.raises(ValueError, match="svm differs in seed"):
        machines.compared(here, there)
    (there / "runs" / "svm.json").unlink()
    with pytest.raises(ValueError, match="do not hold the same models"):
        machines.compared(here, there)


# ------------------------------------------------------------------ networks


def test_a_change_that_hurts_is_told_with_what_it_costs(tmp_path, monkeypatch):
    networks = importlib.import_module("networks")  # and TensorFlow, which others need not
    quick = {"learning_rate": 0.05, "batch_size": 8, "fixed_epochs": 8}
    quick |= {"augmentation": (), "dropout": 0.0}
    quick = dataclasses.replace(networks.hyperparameters.DEFAULTS["cnn"], **quick)
    monkeypatch.setitem(networks.hyperparameters.DEFAULTS, "cnn", quick)
    study = write_small_study(tmp_path, artists=12, tracks=1)
    variants = {"cnn": {"hardly any rate": {"learning_rate": 1e-9}, "no change": {}}}
    with tiny_network("cnn"):
        table = networks.measure(study, variants).set_index("change")
    assert list(table.index) == ["", "hardly any rate", "no change"]
    assert table.loc["no change", "difference"] == 0 and table.loc["no change", "p_value"] == 1
    assert table.loc["hardly any rate", "accuracy"] < table.loc["", "accuracy"]
    assert table.loc["hardly any rate", "separable"] and (table["cpu_seconds"] > 0).all()
    says = networks.told(table.reset_index())
    assert says[0].startswith("Of 2 changes, after correction (Holm), none are significantly bett")
    assert says[0].endswith("and one is significantly worse.")


def test_every_change_is_one_of_the_settings():
    networks = importlib.import_module("networks")
    for name, changes in networks.VARIANTS.items():
        usual = networks.hyperparameters.DEFAULTS[name]
        for title, change in changes.items():
            assert dataclasses.replace(usual, **change) != usual, (name, title)


def test_a_fixed_split_is_not_looked_at_for_networks(tmp_path):
    study = write_small_study(tmp_path)
    study.write(corpus=study.corpus | {"protocol": "fixed"})
    with pytest.raises(ValueError, match="a fixed split is for one look"):
        importlib.import_module("networks").measure(study)
