"""The service put together: the real environment, the store, the runtime, the server. The only place that knows all."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import resource
import signal
import sys
from collections.abc import Awaitable
from contextlib import ExitStack
from functools import partial
from urllib.parse import urlsplit

from bindings.parse import StoreError
from bindings.store import StoreFolder
from probe.api.app import Server
from probe.api.certificates import WebConfigError
from probe.cli import logs
from probe.cli.arguments import EXIT_FAILED, EXIT_OK, EXIT_STORE, EXIT_USAGE
from probe.cli.output import complain
from probe.cli.serving import complain_of_store, open_server
from probe.cli.settings import RunSettings
from probe.cli.workers import monitors_of
from probe.cluster import DesiredState, MaintenanceFile
from probe.controllers import CONTROLLER_KINDS, controllers_by_kind
from probe.controllers.contract import Background
from probe.directory.changes import Changes
from probe.directory.contract import Directory, DirectoryError
from probe.directory.opening import open_directory
from probe.directory.pending import Pending
from probe.environment import Environment
from probe.environment.addresses import NetlinkAddresses
from probe.environment.clock import LoopClock, SystemRandomness
from probe.environment.disks import RealDisks
from probe.environment.files import RealFiles
from probe.environment.http import RealHttp
from probe.environment.netlink import NetlinkListeners
from probe.environment.network import RealNetwork
from probe.environment.notify import Supervision
from probe.environment.orphans import Reaper
from probe.environment.processes import RealProcesses
from probe.environment.programs import RealPrograms
from probe.environment.streams import RealStreams
from probe.environment.threads import DaemonThreads
from probe.environment.watchdog import Watchdog
from probe.history.journal import Journal
from probe.history.past import Past
from probe.history.storage import Retention
from probe.lifecycle.events import Progressed
from probe.metrics import Metrics
from probe.notify.webhook import Webhook, WebhookError, open_webhook
from probe.runtime import Inventory, Reader, Runtime
from probe.runtime.changing import StoreChanges
from probe.runtime.directory import DirectoryWatch
from probe.runtime.witness import witness_of
from probe.values import Incarnation, ResourceId, State, Verdict
from probe.version import __version__

DESCRIPTORS_KEPT = 256  # of the limit, for everything that is not a probe
FIRST_START_S_MAX = 10.0  # how long what `demo` says waits for the pids
HISTORY_FILE = "history.sqlite3"
SWITCH_INTERVAL_S = 0.0005  # each call of a socket lets go of the interpreter, and waits that long to have it back
RESOLVER_THREADS = "16"  # uvloop resolves as many names at once as libuv has threads

_log = logging.getLogger("looksalive")


def run(settings: RunSettings) -> int:
    """Run until told to end. Returns the exit code: 0, 1 (cannot serve) or 78 (bad store)."""
    logs.configure(settings.log_format, settings.log_level)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    os.environ.setdefault("UV_THREADPOOL_SIZE", RESOLVER_THREADS)  # read when uvloop first starts a thread
    import uvloop

    with ExitStack() as held, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        files = RealFiles()
        try:
            files.make_folder(str(settings.state_dir))
            held.enter_context(files.lock(str(settings.state_dir / "lock")))
        except TimeoutError:
            complain("run", f"another looksalive uses {settings.state_dir}; pass another --state-dir, or stop that one")
            return EXIT_FAILED
        except OSError as error:
            complain("run", f"cannot use the state folder {settings.state_dir}: {error.strerror}; pass --state-dir DIR")
            return EXIT_FAILED
        return runner.run(_serve(settings, files))


async def _serve(settings: RunSettings, files: RealFiles) -> int:
    listeners = NetlinkListeners() if settings.kernel_events == "auto" else None
    processes = RealProcesses()
    environment = Environment(
        LoopClock(),
        SystemRandomness(),
        files,
        RealNetwork(),
        processes,
        listeners,
        programs=RealPrograms(processes),
        threads=DaemonThreads(),
        disks=RealDisks(),
        addresses=NetlinkAddresses(),
        http=RealHttp(),
    )
    reaper = Reaper()
    reaper.start()
    try:
        return await _Instance(settings, environment).run()
    finally:
        reaper.close()


class _Instance:
    """One run of the service."""

    def __init__(self, settings: RunSettings, environment: Environment) -> None:
        self.settings = settings
        self.environment = environment
        self.metrics = Metrics(lean=settings.metrics == "lean")
        state_dir = str(settings.state_dir)
        folder = StoreFolder(environment.files, str(settings.store), state_dir)
        self.controllers = controllers_by_kind(
            environment, state_dir, self._exited, self._spawn, self._progressed, metabase=folder, ask=self._ask
        )
        self.inventory = Inventory(
            environment,
            folder,
            CONTROLLER_KINDS,
            self.controllers,
            DesiredState(environment.files, state_dir),
            MaintenanceFile(environment.files, state_dir),
        )
        self.manager = Supervision(environment.clock, os.environ)
        self.inventory.on_reload = self._tell_ready
        self.server: Server | None = None
        self.webhook: Webhook | None = None
        self.node = platform.node() or "localhost"
        self._background: set[asyncio.Task[None]] = set()
        self._ending = False
        self._asked_to_end = False
        self.runtime: Runtime | None = None

    async def run(self) -> int:
        """Load, serve, follow; end in order."""
        settings = self.settings
        self._handle_signals()
        try:
            self.inventory.load()
        except StoreError as error:
            complain_of_store(error, settings.store, self.environment.files)
            return EXIT_STORE
        except OSError as error:
            complain("run", f"cannot read what was wanted last: {error}; mend it, or pass another --state-dir")
            return EXIT_FAILED
        try:
            directory = self._directory()
            self.webhook = open_webhook(
                settings.webhook, self.environment, self.metrics, str(settings.state_dir), self.node
            )
        except (DirectoryError, WebhookError) as error:
            complain("run", str(error))
            return EXIT_USAGE
        journal = self._journal()
        runtime = self.runtime = self._runtime(journal)
        reader = self.reader = Reader(runtime, self.inventory, self.node)
        self._equip(reader, directory, runtime)
        if journal is not None:
            reader.past = Past(self.environment.clock, self.metrics, journal.path, journal.keep)
        try:
            self.server = await open_server(settings, self.environment, self.metrics, reader, journal)
        except WebConfigError as error:
            for mistake in error.problems:
                complain("run", f"--web-config {settings.outside.web_config}: {mistake}")
            return EXIT_USAGE
        except OSError as error:
            listen = f"{settings.listen_host}:{settings.listen_port}"
            complain("run", f"cannot listen on {listen}: {error.strerror or error}; pass --listen ADDRESS:PORT")
            return EXIT_FAILED
        if self._asked_to_end:
            self._end()
        runtime.monitors.confirm_by(_near(self.server.url))
        watchdog = Watchdog(self.environment.clock, settings.watchdog_s)
        watchdog.start()
        if journal is not None:
            journal.start()
        try:
            await runtime.run(partial(self._begin, runtime))
        finally:
            watchdog.close()
            self.manager.close()
            await self.server.close()
            for controller in self.controllers.values():
                controller.release()
            if reader.past is not None:
                await reader.past.close()
            if journal is not None:
                await journal.close()
        _log.info("looksalive has ended")
        return EXIT_OK

    def _runtime(self, journal: Journal | None) -> Runtime:
        in_flight = self.settings.max_in_flight or _in_flight_default()
        runtime = Runtime(
            self.environment,
            self.metrics,
            max_in_flight=in_flight,
            open_service=self.inventory.open_service,
            plan_of=self.inventory.plan_of,
            witness=witness_of(each.note for each in (journal, self.webhook) if each is not None),
            make_monitors=monitors_of(self.settings, in_flight),
        )
        if journal is not None:
            runtime.feed.recent.follow(journal)
        return runtime

    def _equip(self, reader: Reader, directory: Directory, runtime: Runtime) -> None:
        """Let the reader know the directory, and change the store over the network."""
        reader.directory_watch = DirectoryWatch(
            self.environment,
            self.metrics,
            directory,
            str(self.settings.state_dir),
            in_force=lambda: self.inventory.loaded.store,
            load=StoreFolder(self.environment.files, str(self.settings.store)).load,
            on_change=runtime.feed.advance,
        )
        reader.changing = self._changing(directory, reader)

    def _changing(self, directory: Directory, reader: Reader) -> StoreChanges:
        """Let the store be changed over the network, through a folder of its own: it is written in a thread."""
        files, state_dir = self.environment.files, str(self.settings.state_dir)
        folder = StoreFolder(files, str(self.settings.store), state_dir)
        changes = Changes(folder, directory, Pending(files, state_dir), CONTROLLER_KINDS)

        def state_of(id: ResourceId) -> State | None:
            report = reader.resource(id)
            return None if report is None else report.state

        return StoreChanges(changes, state_of, self.inventory.ask_reload)

    def _directory(self) -> Directory:
        settings, folders = self.settings, (str(self.settings.store), str(self.settings.state_dir))
        return open_directory(settings.directory, self.environment.files, RealStreams(), *folders)

    def _journal(self) -> Journal | None:
        settings = self.settings
        if settings.history == "off":
            return None
        return Journal(
            str(settings.state_dir / HISTORY_FILE),
            self.environment.files,
            self.environment.clock,
            self.metrics,
            Retention(settings.history_bytes_max, settings.history_age_max_s),
            version=__version__,
        )

    async def _begin(self, runtime: Runtime) -> None:
        """Tell the runtime the store, say that we serve, then follow the store."""
        try:
            await self.inventory.begin(runtime)
            assert self.server is not None
            print(f"looksalive ready {self.server.url}", flush=True)
            _log.info("looksalive serves at %s", self.server.url)
            self._tell_ready()
            if self.reader.directory_watch is not None:
                self._spawn(self.reader.directory_watch.follow())
            if self.reader.past is not None:
                self._spawn(self.reader.past.follow())
            if self.webhook is not None:
                self._spawn(self.webhook.follow(self.server.url))
            if self.settings.on_ready is not None:
                self.settings.on_ready(self.server.url, await self._pids())
            await self.inventory.follow(runtime)
        finally:  # also when we are told to end before all that is done
            self._ending = True
            for task in self._background:
                task.cancel()

    async def _pids(self) -> dict[str, int]:
        """Wait a little for the first start and name the processes by resource."""
        reader, clock = self.reader, self.environment.clock
        until = clock.now() + FIRST_START_S_MAX
        while any(each.desired is not each.state for each in reader.resources()) and clock.now() < until:
            await reader.wait_past(reader.revision, until - clock.now())
        return {each.id.name: each.pid for each in reader.resources() if each.pid is not None}

    def _handle_signals(self) -> None:
        """Take signals from the first moment on: an end asked for early is obeyed as soon as there is one to obey."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        self.manager.reloading()
        self.inventory.ask_reload()

    def _tell_ready(self) -> None:
        if self.server is not None and not self._ending:
            self.manager.ready(f"serving at {self.server.url}")

    def _end(self) -> None:
        self._asked_to_end = True
        self.manager.stopping()
        if self.runtime is not None:
            self.runtime.end(stop_services=not self.settings.leave_running)

    def _spawn(self, work: Background) -> asyncio.Task[None]:
        """Begin what a controller does in the background; it lives no longer than we follow the store."""
        assert self.runtime is not None, "no controller works before there is a runtime"
        task = self.runtime.spawn(work)
        if self._ending:
            task.cancel()
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _ask(self, id: ResourceId) -> Awaitable[Verdict]:
        return self.inventory.ask_once(id)

    def _progressed(self, id: ResourceId, done: int, total: int, text: str) -> None:
        assert self.runtime is not None, "nothing was started before there is a runtime"
        self.runtime.post(Progressed(id, done, total, text))

    def _exited(self, id: ResourceId, incarnation: Incarnation, verdict: Verdict) -> None:
        assert self.runtime is not None, "nothing was started before there is a runtime"
        self.runtime.exited(id, incarnation, verdict)


def _near(url: str) -> str:
    """Name the listener of a URL as it is reached from here: one for every address is on loopback, too."""
    return urlsplit(url).netloc.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")  # noqa: S104 - nothing is bound


def _in_flight_default() -> int:
    """Raise our soft limit of descriptors to the hard one; what it leaves may be probes in flight."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(16, hard - DESCRIPTORS_KEPT)
