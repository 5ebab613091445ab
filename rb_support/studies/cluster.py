"""Where a sweep runs: processes of this machine, or any dask cluster that is there.

dask is the optional extra `sweep`, and imported only when asked for.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

ONE_THREAD = {
    f"{library}_THREADS": "1" for library in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM")
}
"""Environment that keeps a process to one core: two that both take all of them are slower than one."""
PATIENCE = 20
"""Seconds that a scheduler has to answer."""


class ClusterError(RuntimeError):
    """There is no cluster to run on, or it was lost; the message says what to do."""


@contextmanager
def connected(
    scheduler: str | None = None,
    workers: int | None = None,
    *,
    memory: str | None = None,
    dashboard: bool = False,
) -> Iterator[Client]:
    """A client of a dask cluster; one that was started for it ends with the block.

    Parameters
    ----------
    scheduler : address, such as "tcp://10.0.0.1:8786", of a cluster that is there (`dask scheduler`,
        dask-jobqueue, Kubernetes, Coiled), which is left as it is; None starts one on this machine, whose
        workers are processes of one thread each.
    workers : processes to start, None as many as this one may use cores.
    memory : of each of them, such as "2GB", beyond which it is started anew; None shares what there is.
    dashboard : serve dask's dashboard, on a port of loopback; its address is `client.dashboard_link`.

    Raises
    ------
    ClusterError : if dask is not installed, workers are asked of somebody else's cluster, or nobody answers.
    """
    try:
        import dask
        from distributed import Client, LocalCluster

        if dashboard:
            import bokeh  # noqa: F401
    except ModuleNotFoundError as error:
        raise ClusterError(
            f"workers need dask, and a dashboard bokeh ({error}): pip install 'rb-support[sweep]'"
        ) from error
    if scheduler is not None and (workers, memory, dashboard) != (None, None, False):
        raise ClusterError("workers, memory and dashboard of a cluster that is there are its own")
    settings = {
        "distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": "65536", **ONE_THREAD},
        "distributed.scheduler.allowed-failures": 10,
        "distributed.worker.profile.enabled": dashboard,  # a hundred looks a second that only it shows
        "distributed.comm.timeouts.connect": f"{PATIENCE}s",
    }
    with ExitStack() as held:
        held.enter_context(dask.config.set(settings))
        held.enter_context(_quiet())
        try:
            place = scheduler or held.enter_context(
                LocalCluster(
                    n_workers=workers or cores(),
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=memory or "auto",
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": dashboard},
                    silence_logs=logging.CRITICAL,
                )
            )
            client = held.enter_context(Client(place, timeout=PATIENCE))
            if scheduler is None:
                client.run(_deaf)
        except (OSError, ValueError, RuntimeError) as error:
            where = f"no scheduler answers at {scheduler}" if scheduler else "no workers could be started"
            raise ClusterError(f"{where} ({error or type(error).__name__})") from error
        yield client


def _deaf() -> None:
    """Ctrl-C is for whoever started the workers, and ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what dask logs of workers and connections that come and go."""
    known = logging.root.manager.loggerDict
    loggers = [logging.getLogger(name) for name in known if name.startswith("distributed")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
