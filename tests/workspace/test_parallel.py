"""Many jobs at once: in order, in little memory, on one thread each; here and on a Dask cluster."""

import operator
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import distributed
import numpy as np
import pandas as pd
import psutil
import pytest
import scipy.fft
import scipy.linalg
import threadpoolctl
from conftest import keep_threads, write_sound

from genre_utils.data import auditing, corpora
from genre_utils.features import extraction, recipes, store
from genre_utils.workspace import files, loaded, parallel
from genre_utils.workspace.study_folder import StudyFolder
from small_study import write_small_study
from study_runs import command

RECIPE = recipes.Recipe(n_mels=16, n_mfcc=6, clip_seconds=1.0, excerpt_seconds=0.4)
pytestmark = pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")  # of short clips, by CQT


def threads_used():
    """Libraries' own word on their threads, and processor time spent outside of this thread."""
    with threadpoolctl.threadpool_limits(None):
        allowed = {library["num_threads"] for library in threadpoolctl.threadpool_info()}
    x = np.random.default_rng(0).random((700, 700))
    before = time.process_time() - time.thread_time()
    for _ in range(3):
        scipy.linalg.svdvals(x @ x)
        scipy.fft.rfft(x)
    extraction.frame_features(x.ravel().astype(np.float32), recipes.Recipe())
    return allowed, scipy.fft.get_workers(), time.process_time() - time.thread_time() - before


def over(function, jobs, **options):
    options = {"desc": "test", "unit": "job", "folder": files.ROOT} | options
    return parallel.over(function, jobs, len(jobs), **options)


# ------------------------------------------------------------------ on this machine


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_results_come_in_the_order_of_the_jobs(n_jobs):
    jobs = [(2, i) for i in range(40)]
    assert list(over(operator.mul, jobs, n_jobs=n_jobs)) == list(range(0, 80, 2))
    assert list(over(operator.mul, [], n_jobs=n_jobs)) == []


ORPHANS = """
import os, pathlib, time
from genre_utils.workspace import parallel

def work(name):
    pathlib.Path(name).write_text(str(os.getpid()))
    time.sleep(60)

jobs = [("one",), ("two",)]
list(parallel.over(work, jobs, 2, desc="", unit="job", folder=pathlib.Path(), n_jobs=2))
"""


def test_workers_end_when_the_process_that_started_them_is_killed(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ORPHANS], cwd=tmp_path)
    places = [tmp_path / "one", tmp_path / "two"]
    workers = [int(wait_for(place)) for place in places]
    child.kill()
    child.wait()
    deadline = time.time() + 20
    while any(map(is_running, workers)) and time.time() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, workers))


def wait_for(place):
    """Text of a file that is not there yet."""
    deadline = time.time() + 60
    while not (place.exists() and place.read_text()) and time.time() < deadline:
        time.sleep(0.1)
    return place.read_text()


def is_running(pid):
    """Whether a process is there and has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_few_jobs_are_taken_up_before_they_are_needed(n_jobs):
    taken = []

    def jobs():
        for i in range(1000):
            taken.append(i)
            yield 2, i

    results = parallel.over(
        operator.mul, jobs(), 1000, desc="test", unit="job", folder=files.ROOT, n_jobs=n_jobs
    )
    for used in range(30):
        assert next(results) == 2 * used
        time.sleep(0.005)  # a slow reader
        assert len(taken) - used <= parallel.AHEAD * n_jobs
    results.close()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_job_computes_on_one_thread(n_jobs):
    for allowed, workers, elsewhere in over(threads_used, [()] * 2, n_jobs=n_jobs):
        assert allowed == {1} and workers == 1
        assert elsewhere < 0.1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_error_of_a_job_comes_through_and_the_next_call_works(n_jobs):
    results = over(operator.truediv, [(1, 1 - i) for i in range(9)], n_jobs=n_jobs)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(over(operator.mul, [(2, 1)], n_jobs=n_jobs)) == [2]


# ------------------------------------------------------------------ on a cluster


@pytest.fixture(scope="module", name="address")
def address_fixture(tmp_path_factory):
    """A scheduler and two worker processes on this machine, as a user starts them."""
    place = tmp_path_factory.mktemp("cluster") / "scheduler.json"
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}  # for a quicker test
    settings |= {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "America/St_Johns"}
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "dask", *map(str, arguments), "--no-dashboard"]
        environment = os.environ | settings | {"PYTHONPATH": str(files.ROOT)}
        with open(place.with_name(f"{arguments[0]}.log"), "w") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))

    start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", place)
    deadline = time.time() + 30
    while not place.exists() and time.time() < deadline:
        time.sleep(0.1)
    address = files.read_json(place)["address"]
    start("worker", address, "--nworkers=2", "--nthreads", "1")
    with distributed.Client(address) as client:
        client.wait_for_workers(2, timeout=60)
    yield address
    for process in reversed(started):
        process.terminate()
        process.wait(20)


@pytest.fixture
def cluster(address, monkeypatch):
    monkeypatch.setenv(files.CLUSTER, address)
    with distributed.Client(address) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


@pytest.fixture(name="music")
def music_fixture(tmp_path):
    """Twelve audited clips of a second, and the folder that they lie in."""
    for i in range(12):
        write_sound(tmp_path / "music" / "rock" / f"{i:02d}.wav", seed=i)
    tracks = corpora.find_tracks("folder", tmp_path / "music")
    return auditing.audit(tracks, tmp_path / "music", min_seconds=0.5, n_jobs=1), tmp_path / "music"


def extracted(music, place, monkeypatch, n_jobs=-1):
    """Bytes of the store of some music, extracted into an empty cache."""
    monkeypatch.setenv("GENRE_CACHE_DIR", str(place / "cache"))
    store.extract(*music, StudyFolder(place / "study"), RECIPE, copies=1, seed=3, n_jobs=n_jobs)
    return {path.name: path.read_bytes() for path in sorted((place / "study").iterdir())}


def test_a_cluster_that_loses_a_worker_writes_the_same_store(music, address, tmp_path, monkeypatch):
    one = extracted(music, tmp_path / "one", monkeypatch, n_jobs=1)
    with distributed.Client(address) as client:
        pids = client.run(os.getpid)
    found = []

    def kill_one():
        cache = tmp_path / "dask" / "cache" / "features"
        while len(list(cache.rglob("[!.]*.npz"))) < 4:
            time.sleep(0.01)
        os.kill(min(pids.values()), signal.SIGKILL)
        found.append(len(list(cache.rglob("[!.]*.npz"))))

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    monkeypatch.setenv(files.CLUSTER, address)
    assert extracted(music, tmp_path / "dask", monkeypatch) == one
    killer.join(timeout=1)
    assert len(found) == 1 and found[0] < 24, "the worker was killed in the middle"


LEARN = """
import sys
from genre_utils.models import cross_validation
from genre_utils.workspace.study_folder import StudyFolder

cross_validation.cross_validate(StudyFolder(sys.argv[1]), "mlp", epochs=2)
"""


def one_fold(study):
    """Write a small study of which one fold is to be trained."""
    study.mkdir()
    write_small_study(study, tracks=3)
    folds = pd.read_parquet(study / "folds.parquet")
    files.write_table(study / "folds.parquet", folds[folds["fold"] == 0])
    return study


def learned(study):
    """What was predicted, and the history of the fold."""
    [fold] = files.read_json(study / "runs" / "mlp.json")["folds"]
    return pd.read_parquet(study / "predictions" / "mlp.parquet"), fold["history"]


def test_a_cluster_that_loses_a_worker_learns_the_same_as_one_thread_here(cluster, tmp_path):
    """Whatever the processes' language, time zone and seed of hashes are."""
    from genre_utils.models import (
        cross_validation,  # here: processes that import this file's functions need none
    )

    there, here = one_fold(tmp_path / "there"), one_fold(tmp_path / "here")
    pids, lost = list(cluster.run(os.getpid).values()), []

    def kill_one_that_has_begun():
        while not lost:
            lost.extend([pid for pid in pids if psutil.Process(pid).children()][:1])
            time.sleep(0.05)
        os.kill(lost[0], signal.SIGKILL)
        lost.extend(there.glob("folds_done/mlp/*.parquet"))

    threading.Thread(target=kill_one_that_has_begun, daemon=True).start()
    cross_validation.cross_validate(StudyFolder(there), "mlp", epochs=2)
    assert len(lost) == 1, "a worker was killed, before the fold was done"
    alone = os.environ | dict.fromkeys(parallel.THREADS, "1") | {files.CLUSTER: ""}
    alone |= {"PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu"}
    alone["PYTHONPATH"] = str(files.ROOT)
    subprocess.run([sys.executable, "-c", LEARN, here], env=alone, check=True)
    (predictions, history), (expected, alike) = learned(there), learned(here)
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    assert history == alike


def test_a_worker_that_trains_on_another_study_is_named(monkeypatch, tmp_path):
    from genre_utils.models import cross_validation

    monkeypatch.setattr(parallel, "in_own_process", lambda *_: None)  # which leaves no fold
    with pytest.raises(parallel.ClusterError, match="has trained rnn with other versions"):
        cross_validation._train_apart("", [str(tmp_path / "fold.parquet"), "study", "rnn"])


def test_folds_side_by_side_learn_what_they_learn_one_after_the_other(tmp_path, monkeypatch):
    from genre_utils.models import cross_validation

    found = []
    for cores in ("1", "2"):
        monkeypatch.setenv("LOKY_MAX_CPU_COUNT", cores)
        study = tmp_path / cores
        study.mkdir()
        write_small_study(study, tracks=3)
        found.append(cross_validation.cross_validate(StudyFolder(study), "mlp", epochs=2))
    (one, run), (two, same) = found
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert [fold["history"] for fold in run["folds"]] == [f["history"] for f in same["folds"]]


def test_what_fails_in_a_process_of_its_own_is_told():
    with pytest.raises(RuntimeError, match=r"(?s)nowhere\.json: .*No such file or directory"):
        parallel.in_own_process(files.read_json, ["nowhere.json"])


def test_a_cluster_checks_files_as_this_machine_does(cluster, music, monkeypatch):
    folder = music[1]
    (folder / "rock" / "notes.wav").write_text("this is a shopping list")
    tracks = corpora.find_tracks("folder", folder)
    there = auditing.audit(tracks, folder, min_seconds=0.5)
    monkeypatch.delenv(files.CLUSTER)
    assert there.equals(auditing.audit(tracks, folder, min_seconds=0.5))
    assert (there["status"] == "excluded").sum() == 1


def test_the_command_line_hands_its_work_to_the_cluster(cluster, music, tmp_path):
    done = command("audit", music[1], "--dask", os.environ[files.CLUSTER],
                   env={"CWD": str(tmp_path), files.CLUSTER: ""})  # fmt: skip
    assert re.search(r"Dask cluster at tcp://127\.0\.0\.1:\d+, workers: 2", done.stderr)
    assert "0 of 12 files would be used" in done.stdout  # as they are shorter than six seconds


def test_the_error_of_a_job_comes_from_the_cluster(cluster):
    with pytest.raises(ZeroDivisionError):
        list(over(operator.truediv, [(1, 9 - i) for i in range(200)]))


def test_a_job_that_ends_its_workers_is_named_not_waited_for(cluster):
    with pytest.raises(parallel.ClusterError, match="worked on 77 died"):
        list(over(os._exit, [(77,)]))


def test_a_worker_that_sees_other_files_or_code_is_refused(cluster, tmp_path, monkeypatch):
    with pytest.raises(parallel.ClusterError, match=r"does not see .*nowhere.* shared folder"):
        list(over(operator.mul, [(2, 1)], folder=tmp_path / "nowhere"))
    monkeypatch.setattr(loaded, "CODE", "other")
    with pytest.raises(parallel.ClusterError, match="another version of genre_utils"):
        list(over(operator.mul, [(2, 1)]))


# ------------------------------------------------------------------ what is no cluster


@pytest.fixture
def in_process(monkeypatch):
    """Make a cluster of threads of this process, and go by its address."""
    keep_threads(monkeypatch)
    monkeypatch.setattr(parallel, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(parallel, "WATCH_SECONDS", 0.2)
    made = []

    def make(**options):
        made.append(distributed.LocalCluster(processes=False, dashboard_address=":0", **options))
        monkeypatch.setenv(files.CLUSTER, made[0].scheduler_address)
        return made[0]

    yield make
    for cluster in made:
        cluster.close()


def test_a_scheduler_without_workers_is_refused(in_process):
    in_process(n_workers=0)
    with pytest.raises(parallel.ClusterError, match="has no workers: start some with `dask worker"):
        list(over(operator.mul, [(2, 1)]))


def test_a_worker_with_several_threads_is_refused(in_process):
    in_process(n_workers=1, threads_per_worker=2)
    with pytest.raises(parallel.ClusterError, match="has 2 threads"):
        list(over(operator.mul, [(2, 1)]))


def test_a_cluster_whose_workers_have_all_gone_is_given_up(in_process):
    cluster = in_process(n_workers=1, threads_per_worker=1)
    results = over(time.sleep, [(0.05,)] * 200)
    next(results)
    cluster.scale(0)
    with pytest.raises(parallel.ClusterError, match="has no workers"):
        list(results)


def test_a_cluster_whose_scheduler_has_gone_is_given_up(in_process):
    cluster = in_process(n_workers=1, threads_per_worker=1)
    results = over(time.sleep, [(0.05,)] * 200)
    next(results)
    cluster.close()
    with pytest.raises(parallel.ClusterError, match=r"has no workers|scheduler .* is gone"):
        list(results)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "http://127.0.0.1:8786"])
def test_an_address_that_nobody_answers_is_refused_at_once(address, tmp_path):
    started = time.perf_counter()
    environment = {"CWD": str(tmp_path), "GENRE_REPORTS_DIR": str(tmp_path / "reports")}
    done = command("study", "--profile", "quick", "--dask", address, env=environment)
    assert done.returncode == 1 and time.perf_counter() - started < 15
    assert f"no Dask scheduler answers at '{address}'" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "reports").exists()
