"""Many jobs at once, on the cores of this machine or on a Dask cluster, in order and little memory.

`joblib.Parallel` takes in results without end, and waits for ever for Dask workers that died.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from genre_utils.workspace import files

CONNECT_SECONDS = 5.0  # for the scheduler to answer, and again for a worker to be there
WATCH_SECONDS = 10.0  # between two looks at whether a cluster still has workers
AHEAD = 4  # jobs handed out per worker, so that none waits while a slow one is finished
#: Environment variables with which numerical libraries are told to compute on one thread.
THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
)
#: A program that makes the call of `in_own_process`.
CALL = """
import importlib, json, sys
from genre_utils.workspace import parallel
parent, module, name, job = json.loads(sys.argv[1])
parallel._leave_with(parent)
getattr(importlib.import_module(module), name)(*job)
"""
_one_at_a_time = threading.Lock()
_staying: dict[int, Any] = {}  # pools that wait for more to do, by the number of their processes


class ClusterError(RuntimeError):
    """The Dask cluster cannot do what is asked of it; the message says what to do."""


def over(
    function,
    jobs,
    total: int,
    *,
    desc: str,
    unit: str,
    folder: Path,
    n_jobs: int = -1,
    each=AHEAD,
    stay: bool = False,
    here: bool = False,
):
    """Call a module's function on every job, a tuple, and yield the results in order.

    Each call computes on one thread, in a process of this machine or, when ``$GENRE_DASK`` names a
    scheduler, of its cluster, whose workers must see `folder`. `each` jobs are handed out per
    worker at a time: fewer of long ones, so that later ones can build on results. The first of a
    job's arguments names it in errors; it is called again if its worker died. Processes that `stay`
    wait for a minute for more of such jobs, with all that they have loaded. What is done `here`
    goes to no cluster.
    """
    there = files.cluster_address() and not here
    workers = _cluster(folder, each) if there else _processes(n_jobs, each, stay)
    bar = tqdm(total=total, desc=desc, unit=unit, mininterval=0.5)
    with bar, workers as (submit, ahead):
        for result in in_order((submit(function, job) for job in jobs), ahead):
            bar.update()  # before it is taken: nobody asks for more after the last
            yield result


def in_order(submitted: Iterable[Callable], ahead: int) -> Iterator:
    """Yield the results of calls that are submitted on the way, at most so many ahead."""
    pending: deque = deque()
    for result in submitted:
        pending.append(result)
        if len(pending) >= ahead:
            yield pending.popleft()()
    while pending:
        yield pending.popleft()()


def alone(function, job):
    """Do one job on one thread; no other meanwhile, as threads share NumPy's generator."""
    import scipy.linalg  # noqa: F401  loads its library before the limit, which else misses it
    import threadpoolctl

    with _one_at_a_time, threadpoolctl.threadpool_limits(1):
        return function(*job)


def in_own_process(function, job: list) -> None:
    """Call a module's function on what JSON holds in a Python process that ends with this one."""
    call = json.dumps([os.getpid(), function.__module__, function.__name__, job])
    command = [sys.executable, "-c", CALL, call]
    environment = files.child_environment()  # it imports this very package
    done = subprocess.run(
        command, cwd=files.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{job[0]}: {done.stderr.strip()[-2000:] or done.returncode}")


def cores(n_jobs: int = -1) -> int:
    """Processes that work at the same time: so many, or one per core that this one may use."""
    import joblib

    return joblib.effective_n_jobs(n_jobs)


@contextlib.contextmanager
def _processes(n_jobs, each, stay):
    from joblib.externals import loky

    workers = cores(n_jobs)
    if workers == 1:
        yield lambda function, job: partial(alone, function, job), 1
        return
    # not the pool that joblib keeps for all: `joblib.Parallel` cannot use one that it has not made
    executor = _staying.pop(workers, None) if stay else None
    if executor is None:
        environment = files.child_environment(**dict.fromkeys(THREADS, "1"))
        options = {"env": environment, "initializer": _leave_with, "initargs": (os.getpid(),)}
        executor = loky.ProcessPoolExecutor(workers, timeout=60 if stay else None, **options)
    try:
        yield lambda *call: executor.submit(alone, *call).result, each * workers
    except BaseException:
        executor.shutdown(kill_workers=True)
        raise
    if stay:
        _staying[workers] = executor
    else:
        executor.shutdown()


def _leave_with(parent):
    """End this process soon after its parent is killed, so that nothing works on unseen."""

    def watch():
        while os.getppid() == parent and psutil.pid_exists(parent):  # the latter on Windows
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def connect():
    """Connect to the Dask cluster that ``$GENRE_DASK`` names; refuse one that cannot be used."""
    import distributed

    address = files.cluster_address()
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {address!r} ({error}). Start one with `dask scheduler` "
            f"and give the address that it prints, such as tcp://192.168.0.5:8786."
        ) from error
    try:
        _check_workers(client, address)
    except ClusterError:
        client.close()
        raise
    return client


def _check_workers(client, address):
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        raise _without_workers(address) from error
    for worker, threads in client.nthreads().items():
        if threads > 1:
            raise ClusterError(
                f"the Dask worker {worker} has {threads} threads, but does one job at a time: "
                f"start {_start(address)}, which makes a worker of each core."
            )


def _start(address):
    return f"`dask worker {address} --nworkers=-1 --nthreads 1`"


def _without_workers(address):
    return ClusterError(
        f"the Dask scheduler at {address} has no workers: start some with {_start(address)} in "
        "an environment like this one, then run the same command again; what is done is kept."
    )


@contextlib.contextmanager
def _cluster(folder, each):
    from genre_utils.workspace.loaded import CODE  # recognition has no librosa

    client = connect()

    def submit(function, job):
        future = client.submit(_there, function, job, folder, CODE, pure=False)
        return partial(_result, client, future, job[0])

    try:
        yield submit, each * max(16, len(client.nthreads()))
    finally:
        client.close()


def _result(client, future, name):
    """Result of a job on the cluster; fails where Dask would wait for ever, or not say why."""
    import distributed

    address = client.scheduler.address
    gone = ClusterError(
        f"the Dask scheduler at {address} is gone. Start it again, then run the same command "
        "again; what is done is kept."
    )
    try:
        while not future.done():
            with contextlib.suppress(TimeoutError):
                distributed.wait([future], timeout=WATCH_SECONDS)
            if not future.done() and not client.nthreads():
                raise _without_workers(address)
    except (CancelledError, OSError) as error:
        raise gone from error
    try:
        return future.result()
    except CancelledError as error:
        raise gone from error
    except distributed.KilledWorker as error:
        raise ClusterError(
            f"every Dask worker that worked on {name} died. Look into its log for the reason, such "
            "as too little memory; what is done is kept."
        ) from error
    except ImportError as error:
        raise ClusterError(
            f"a Dask worker cannot import what it needs ({error}): start it in an environment like "
            "this one."
        ) from error


def _there(function, job, folder, code):
    """`alone`, on a machine that may have other files or other code."""
    from genre_utils.workspace.loaded import CODE

    here = f"a Dask worker on {socket.gethostname()}"
    if code != CODE:
        why = "runs another version of genre_utils or of its libraries: start it again, in an"
        raise ClusterError(f"{here} {why} environment like this one.")
    if not Path(folder).is_dir():
        why = f"does not see {folder}: it must be a shared folder, with the same path everywhere."
        raise ClusterError(f"{here} {why}")
    files.set_environment(**dict.fromkeys(THREADS, "1"))  # TensorFlow reads them at its first step
    return alone(function, job)


@contextlib.contextmanager
def memory_limited(more):
    """Raise a MemoryError when this process holds `more` bytes than now, where Linux tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    limits = [n for n in before if n != resource.RLIM_INFINITY]
    limit = min([pages * resource.getpagesize() + more, *limits])
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
