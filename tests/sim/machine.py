"""One simulated computer: what stays when our program dies. Its files, its programs, its servers, its addresses."""

from __future__ import annotations

import hashlib
import random
from collections import deque

from tests.sim.files import MemoryFiles
from tests.sim.network import Host
from tests.sim.programs import Recipe, Running
from tests.sim.servers import Server
from tests.sim.sockets import fail
from tests.sim.timeline import Timeline
from tests.sim.wire import Place, Wire

NOTES_KEPT_MAX = 2000
FIRST_PID = 1000
EPOCH_S = 1_700_000_000.0  # the wall clock at the start; a Tuesday
LOOPBACK = ("127.0.0.1", "::1")


class Machine:
    """The computer. `recipes` is its table of programs by name; `digest` sums up everything that happened on it."""

    def __init__(self, seed: int, timeline: Timeline) -> None:
        self.timeline = timeline
        self.chance = random.Random(seed)
        self.wire = Wire(timeline, self.chance.getrandbits(32))
        self.wire.hosts.update(LOOPBACK)
        self.host = Host()
        self.disk = MemoryFiles()
        self.folders: set[str] = set()
        self.recipes: dict[str, Recipe] = {}
        self.programs: dict[int, Running] = {}
        self.servers: dict[Place, Server] = {}
        self.outputs: dict[str, list[int]] = {}  # pids that write to a file
        self.notes: deque[str] = deque(maxlen=NOTES_KEPT_MAX)
        self._boots = 1
        self._next_pid = FIRST_PID
        self._sum = hashlib.sha256()

    @property
    def boot_id(self) -> str:
        """The id of this boot."""
        return f"00000000-0000-4000-8000-{self._boots:012d}"

    @property
    def digest(self) -> str:
        """A digest of every note so far: equal in two runs that did the same."""
        return self._sum.hexdigest()

    def note(self, text: str) -> None:
        """Add a line to what happened, with its time."""
        line = f"{self.timeline.now:.9f} {text}"
        self.notes.append(line)
        self._sum.update(line.encode() + b"\n")

    def add_address(self, address: str) -> None:
        """Give the machine an address of its own."""
        self.host.local.add(address)
        self.wire.hosts.add(address)

    def remove_address(self, address: str) -> None:
        """Take an address away: binding to it fails, nobody answers there."""
        self.host.local.discard(address)
        self.wire.hosts.discard(address)

    def server(self, protocol: str, place: Place) -> Server:
        """Return the server of a place, made at the first call; it serves once a program or a test opens it."""
        if place not in self.servers:
            self.servers[place] = Server(self.wire, protocol, place)
        return self.servers[place]

    def serve(self, protocol: str, place: Place) -> Server:
        """Open a server that belongs to no program: something that was already there, or runs elsewhere."""
        server = self.server(protocol, place)
        server.open()
        return server

    def start_program(self, argv: tuple[str, ...]) -> Running:
        """Start a program. Raises FileNotFoundError for one that is not in the table."""
        recipe = self.recipes.get(argv[0])
        if recipe is None:
            raise FileNotFoundError(2, "No such file or directory", argv[0])
        pid, self._next_pid = self._next_pid, self._next_pid + 1
        running = self.programs[pid] = Running(self, pid, argv, recipe)
        self.note(f"spawn {pid} {' '.join(argv)}")
        return running

    def running(self, name: str) -> list[Running]:
        """List the running programs of a name, oldest first."""
        return [one for one in self.programs.values() if one.argv[0] == name and one.running]

    def kill(self, pid: int, number: int, *, group: bool = False) -> None:
        """Signal a process (or its whole group) as a person at a shell does. Raises ProcessLookupError."""
        running = self.programs.get(pid)
        if running is None or not running.group_running:
            raise fail(3)
        self.note(f"kill {pid} {int(number)}")
        running.signal(number, group=group)

    def reboot(self) -> None:
        """Lose every program and what was not synced. Our own run must have been killed before."""
        for running in self.programs.values():
            if running.group_running:
                running.signal(9, group=True)
        self.programs.clear()
        self.disk = self.disk.after_crash("durable")
        self._boots += 1
