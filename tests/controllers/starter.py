"""A run of ours to be killed: starts a service under the process controller, says so, and waits for its death.

`python -m tests.controllers.starter STATE_DIR PROGRAM [ARGUMENT ...]`
"""

from __future__ import annotations

import asyncio
import sys

from probe.controllers.contract import ServiceSpec
from probe.values import Incarnation
from tests.controllers.real import ID, real_controller


async def main(state_dir: str, command: list[str]) -> None:
    """Start the service and wait for ever."""
    controller = real_controller(state_dir, [])
    await controller.start(ServiceSpec(ID, {"command": command}), Incarnation(9))
    print(controller.pid(ID), flush=True)  # noqa: T201 - for the test that started us
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
