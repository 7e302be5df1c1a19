"""`run --workers N`: how the service starts its workers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import probe
from probe.cli.settings import RunSettings
from probe.environment.channel import Worker, start_worker
from probe.environment.processes import RealProcesses
from probe.monitor.contract import MakeWatching
from probe.monitor.monitor import Monitors
from probe.workers.sharded import ShardedMonitors

MODULE = "probe.cli.prober"


def monitors_of(settings: RunSettings, in_flight: int) -> MakeWatching:
    """Say what makes the monitors: of this process alone, or with workers, which share the `--max-in-flight` told.

    When none was told `in_flight` is what a process's descriptors allow, and each worker has its own.
    """
    if settings.workers == 1:
        return Monitors
    each = in_flight if settings.max_in_flight is None else -(-in_flight // settings.workers)
    arguments = (str(each), settings.log_format, settings.log_level)
    return partial(ShardedMonitors, workers=settings.workers, start=partial(_start, RealProcesses(), arguments))


def _start(processes: RealProcesses, arguments: tuple[str, ...]) -> Worker:
    return start_worker(processes, MODULE, arguments, Path(probe.__file__).parent.parent)
