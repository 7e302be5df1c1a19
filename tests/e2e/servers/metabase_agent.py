"""A small service that obeys the metabase (S58): it reads `command`, opens and closes ports, and writes `state`.

`python metabase_agent.py STORE KEY=PORT ...` - what a wrapper around a real server does is no more than this.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from bindings.files import Files
from bindings.store import StoreFolder
from probe.environment.files import RealFiles

LOOK_S = 0.1
STATES = {"start": "running", "stop": "stopped"}


async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be an SMTP server as far as a greeting goes."""
    with suppress(OSError):
        writer.write(b"220 agent ready\r\n")
        await writer.drain()
    writer.close()


async def obey(store: StoreFolder, ports: dict[str, int]) -> None:
    """Do what each key's command says, for ever; a state that is not what we do is written anew."""
    serving: dict[str, asyncio.Server] = {}
    while True:
        for key, port in ports.items():
            entries = store.runtime(key)
            command = entries.get("command", "stop")
            if command == "start" and key not in serving:
                serving[key] = await asyncio.start_server(greet, "127.0.0.1", port)
            elif command == "stop" and key in serving:
                serving.pop(key).close()
            if entries.get("state") != STATES[command]:
                store.write_runtime(key, {"state": STATES[command]})
        await asyncio.sleep(LOOK_S)


if __name__ == "__main__":
    files: Files = RealFiles()
    ports = dict(one.split("=") for one in sys.argv[2:])
    asyncio.run(obey(StoreFolder(files, sys.argv[1]), {key: int(port) for key, port in ports.items()}))
