"""Many jobs at once, on the cores of this machine or on a Dask cluster, in order and little memory.

Not through `joblib.Parallel`: it takes in results without end while the first is waited for, and
its Dask backend waits for ever for a job whose workers died. Its process pool (loky) is used.
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
from concurrent.futures import CancelledError
from functools import partial
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from genre_utils.workspace import files

ADDRESS = "GENRE_DASK"  # environment variable with the address of a Dask scheduler
CONNECT_SECONDS = 5.0  # for the scheduler to answer, and again for a worker to be there
WATCH_SECONDS = 10.0  # between two looks at whether a cluster still has workers
AHEAD = 4  # jobs handed out per worker, so that none waits while a slow one is finished
#: Environment variables with which numerical libraries are told to compute on one thread.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
THREADS += ("VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")
THREADS += ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def _package():
    """Hash of all files of this package."""
    paths = sorted((files.ROOT / "genre_utils").rglob("*.py"))
    return files.sha256(*[path.read_bytes() for path in paths])


#: What decides a result: this package as this process has loaded it, and the libraries below it.
CODE = files.sha256(
    _package(),
    [version(name) for name in ("numpy", "scipy", "librosa", "soundfile")],
)
#: A program that makes the call of `in_own_process`.
CALL = """
import importlib, json, sys
from genre_utils import parallel
parent, module, name, job = json.loads(sys.argv[1])
parallel._leave_with(parent)
getattr(importlib.import_module(module), name)(*job)
"""
_one_at_a_time = threading.Lock()


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
    each: int = AHEAD,
):
    """Call a function on every job, several at once, and yield the results in order.

    Each call computes on one thread. A few jobs per worker are handed out at a time, so the memory
    used does not depend on how many there are. Workers are processes of this machine, or, when
    ``$GENRE_DASK`` names a scheduler, those of its cluster.

    Parameters
    ----------
    function : callable
        Of a module, so that workers can import it. It is called again on a job whose worker died.
    jobs : iterable of tuple
        Arguments of the calls; the first of a job names it in errors.
    total : int
        How many jobs there are.
    desc, unit : str
        What the progress bar says.
    folder : Path
        Folder that the jobs read, which every worker must see under the same path.
    n_jobs : int
        Processes of this machine; -1 for one per core; with 1 all is done in this process.
    each : int
        Jobs handed out per worker, of long ones fewer: then later ones can build on results.

    Yields
    ------
    object
        What the function returned, job by job.

    Raises
    ------
    ClusterError
        See `connect`; also if all workers of the cluster go, or die over and over on a job.
    """
    workers = _cluster(folder, each) if os.environ.get(ADDRESS) else _processes(n_jobs, each)
    bar = tqdm(total=total, desc=desc, unit=unit, mininterval=0.5)
    with bar, workers as (submit, ahead):
        pending = deque()
        for job in jobs:
            pending.append(submit(function, job))
            if len(pending) >= ahead:
                yield pending.popleft()()
                bar.update()
        while pending:
            yield pending.popleft()()
            bar.update()


def alone(function, job):
    """Do one job on one thread, and no other in this process meanwhile.

    How many threads a library takes, and NumPy's generator, are shared by a whole process: a Dask
    worker with several threads would mix them up.
    """
    import scipy.linalg  # noqa: F401  loads its library before the limit, which else misses it
    import threadpoolctl

    with _one_at_a_time, threadpoolctl.threadpool_limits(1):
        return function(*job)


def in_own_process(function, job: list) -> None:
    """Call a function of a module in a Python process of its own, which ends with this one.

    Parameters
    ----------
    function : callable
        What it returns is lost: it leaves its result in a file.
    job : list
        Its arguments, as JSON holds them.

    Raises
    ------
    RuntimeError
        If it fails, with the end of what it said.
    """
    call = json.dumps([os.getpid(), function.__module__, function.__name__, job])
    command = [sys.executable, "-c", CALL, call]
    # in the folder of this package, which is then the one that is imported
    done = subprocess.run(command, cwd=files.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{job[0]}: {done.stderr.strip()[-2000:] or done.returncode}")


@contextlib.contextmanager
def _processes(n_jobs, each):
    """Processes of this machine, or this very one if there is to be one alone."""
    import joblib
    from joblib.externals import loky

    workers = joblib.effective_n_jobs(n_jobs)
    if workers == 1:
        yield lambda function, job: partial(alone, function, job), 1
        return
    # not the pool that joblib keeps for all: `joblib.Parallel` cannot use one that it has not made
    options = {"initializer": _leave_with, "initargs": (os.getpid(),)}
    with loky.ProcessPoolExecutor(workers, env=dict.fromkeys(THREADS, "1"), **options) as executor:
        yield lambda *call: executor.submit(alone, *call).result, each * workers


def _leave_with(parent):
    """End this process soon after its parent is killed, so that nothing works on unseen."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def connect():
    """Connect to the Dask cluster that ``$GENRE_DASK`` names.

    Returns
    -------
    distributed.Client

    Raises
    ------
    ClusterError
        If nobody answers at the address, or no worker is there, or one has several threads.
    """
    import distributed

    address = os.environ[ADDRESS]
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {address!r} ({error}). Start one with `dask scheduler` "
            f"and give the address that it prints, such as tcp://192.168.0.5:8786."
        ) from error
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        client.close()
        raise ClusterError(_without_workers(address)) from error
    crowded = {worker: n for worker, n in client.nthreads().items() if n > 1}
    if crowded:
        client.close()
        worker, threads = next(iter(crowded.items()))
        raise ClusterError(
            f"the Dask worker {worker} has {threads} threads, but does one job at a time: start "
            f"{_command(address)}, which makes a worker of each core."
        )
    return client


def _command(address):
    return f"`dask worker {address} --nworkers=-1 --nthreads 1`"


def _without_workers(address):
    return (
        f"the Dask scheduler at {address} has no workers: start some with {_command(address)} in "
        "an environment like this one, then run the same command again; what is done is kept."
    )


@contextlib.contextmanager
def _cluster(folder, each):
    """Workers of the Dask cluster."""
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
                raise ClusterError(_without_workers(address))
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
    host = socket.gethostname()
    if code != CODE:
        raise ClusterError(
            f"a Dask worker on {host} runs another version of genre_utils or of its libraries: "
            "start it again, in an environment like this one."
        )
    if not Path(folder).is_dir():
        raise ClusterError(
            f"a Dask worker on {host} does not see {folder}: it must be a shared folder, with the "
            "same path on every machine."
        )
    os.environ.update(dict.fromkeys(THREADS, "1"))  # TensorFlow reads them when it first computes
    return alone(function, job)
