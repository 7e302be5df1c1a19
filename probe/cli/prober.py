"""A worker of `run --workers N`, started by it alone: `python -m probe.cli.prober DESCRIPTOR IN_FLIGHT FORMAT LEVEL`.

It ends with its channel, however the main process has ended, and with nothing else: signals that are meant for the
whole service (Ctrl-C, a service manager's SIGTERM to everybody) are the main process's to obey, in order.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from probe.cli import logs
from probe.cli.arguments import EXIT_FAILED, EXIT_OK
from probe.environment import Environment
from probe.environment.channel import inherited_channel
from probe.environment.clock import LoopClock, SystemRandomness
from probe.environment.files import RealFiles
from probe.environment.network import RealNetwork
from probe.environment.processes import RealProcesses
from probe.environment.watchdog import Watchdog
from probe.workers.prober import Prober

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_log = logging.getLogger("looksalive")


def main(arguments: list[str]) -> int:
    """Work until the main process hangs up. Returns 0, or 1 when it was not understood."""
    descriptor, max_in_flight, log_format, log_level = arguments
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    logs.configure(log_format, log_level)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_work(int(descriptor), int(max_in_flight)))


async def _work(descriptor: int, max_in_flight: int) -> int:
    environment = Environment(LoopClock(), SystemRandomness(), RealFiles(), RealNetwork(), RealProcesses())
    watchdog = Watchdog(environment.clock, 0)  # it tells where we are stuck; the main process ends us
    watchdog.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            prober = Prober(environment, inherited_channel(descriptor), tasks.create_task, max_in_flight=max_in_flight)
            await prober.ended.wait()
            await prober.close()
    finally:
        watchdog.close()
    if prober.garbage:
        _log.error("worker %d does not understand the main process: %s", os.getpid(), prober.garbage)
        return EXIT_FAILED
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
