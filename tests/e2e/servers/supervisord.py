"""supervisord on a unix socket (and, if wanted, a TCP port); its programs are in its own session and end with it."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
from pathlib import Path

from tests.e2e.programs import need
from tests.e2e.servers.real import RealServer

CONFIGURATION = """\
[supervisord]
nodaemon=true
user=root
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}
[unix_http_server]
file={socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{socket}
"""
TCP = """\
[inet_http_server]
port=127.0.0.1:{port}
"""
PROGRAM = """\
[program:{name}]
command={command}
autostart=false
startretries=1
stopwaitsecs=3
"""
USUAL = "startsecs=0\nautorestart=false\n"


class Supervisord(RealServer):
    """A supervisord whose programs it never starts by itself; `options` are lines of one instead of the usual ones."""

    def __init__(
        self,
        folder: Path,
        programs: dict[str, list[str]],
        *,
        port: int | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        program = need("supervisord", "supervisor")
        self.socket = folder / "s.sock"
        folder.mkdir(mode=0o755, exist_ok=True)
        special = options or {}
        sections = [
            PROGRAM.format(name=name, command=shlex.join(argv)) + special.get(name, USUAL)
            for name, argv in programs.items()
        ]
        if port is not None:
            sections.append(TCP.format(port=port))
        self.configuration = folder / "supervisord.conf"
        self.configuration.write_text("\n".join([CONFIGURATION.format(folder=folder, socket=self.socket), *sections]))
        ports = () if port is None else (port,)
        super().__init__(folder, [program, "--nodaemon", "--configuration", str(self.configuration)], ports)

    def control(self, *words: str) -> str:
        """Do something behind our back, as an administrator does: run supervisorctl."""
        program = need("supervisorctl", "supervisor")
        command = [program, "--configuration", str(self.configuration), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return super()._accepts() and connection.connect_ex(str(self.socket)) == 0


SERVER = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]


def web_server(port: int, folder: Path) -> list[str]:
    """Name a small web server that runs in the foreground, in one process."""
    return [*SERVER, "--directory", str(folder), str(port)]
