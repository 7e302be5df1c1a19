"""The process controller: a service is a process of its own session, started by argv and told apart by its start time.

How it behaves:
1. The record of a process is on disk before its start counts, so `kill -9` of us loses nobody: the next run adopts.
2. Stopping is TERM to the group (and CONT, or a stopped process would not hear it), then KILL after `kill_after_s`.
3. The service is its leader: when that ends by itself we say so at once and end what it left of its group, because
   workers that still hold the port would keep the next start from succeeding.
4. Operations may overlap (a terminate during a stop) and be cancelled; a service once told to end is never taken for a
   running one again: the next start first sees it gone.
5. Adoption is of living leaders. What a leader left that died while no run of ours was there cannot be told from a
   stranger's group of the same number, and is left alone.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from probe.controllers.contract import ControllerError, OnExit, ParametersError, ServiceSpec, verdict_of
from probe.controllers.output import Outputs
from probe.controllers.parameters import ProcessParameters, process_parameters
from probe.controllers.records import Records, path_under, record_of
from probe.environment import Environment, Process, Timer
from probe.values import Incarnation, Reason, ResourceId, Verdict, evidence_of

TERMINATE_GRACE_S = 2.0  # terminate gives this much at most between TERM and KILL
KILL_GRACE_S = 5.0  # a killed process is gone in milliseconds, unless it hangs in the kernel
LEADER_POLL_S = 0.02
GROUP_POLL_S = 0.1  # each look at a leaderless group walks /proc
SWEEP_ROUNDS_MAX = 5


@dataclass(slots=True, eq=False)
class _Running:
    """A service that was started or adopted, until nothing of it is left."""

    id: ResourceId
    process: Process
    incarnation: Incarnation
    kill_after_s: float
    output: str | None
    ending: bool = False  # told to end, or ended: never again taken for a running service
    operations: int = 0  # stops and terminates in flight
    killed: bool = False
    sweep: Timer | None = None


class ProcessController:
    """Runs services as processes of ours that can outlive us."""

    acts = True
    ours_to_stop = True

    def __init__(self, environment: Environment, state_dir: str, on_exit: OnExit) -> None:
        self._clock = environment.clock
        self._processes = environment.processes
        self._records = Records(environment.files, f"{state_dir}/processes")
        self._output_folder = f"{state_dir}/output"
        self._outputs = Outputs(environment.processes, environment.clock)
        self._on_exit = on_exit
        self._table: dict[ResourceId, _Running] = {}

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Spawn the service, or go on with the running one (S57). Raises ControllerError."""
        parameters = _parameters(service.parameters)
        running = self._find(service, parameters, incarnation)
        if running is not None and not running.ending:
            running.incarnation = incarnation
            return
        if running is not None:
            await self._end(running, parameters.kill_after_s)
        self._spawn(service, parameters, incarnation)

    async def stop(self, service: ServiceSpec) -> None:
        """TERM, then KILL after `kill_after_s`; return when the group is gone. Raises ControllerError."""
        await self._end_service(service, grace_s_max=None)

    async def terminate(self, service: ServiceSpec) -> None:
        """Stop with at most `TERMINATE_GRACE_S` before KILL (S68). Raises ControllerError."""
        await self._end_service(service, grace_s_max=TERMINATE_GRACE_S)

    def kill(self, id: ResourceId) -> None:
        """Kill the group at once (S56); what is left of it is looked after without anybody waiting."""
        running = self._table.get(id)
        if running is not None:
            running.ending = running.killed = True
            self._sweep(running, rounds_left=SWEEP_ROUNDS_MAX)

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:
        """Take over what an earlier run left running; say whether it runs. Raises ControllerError."""
        running = self._find(service, _parameters(service.parameters), incarnation)
        return running is not None and not running.ending

    def pid(self, id: ResourceId) -> int | None:
        """Return the pid of the service's leader while it runs."""
        running = self._table.get(id)
        return running.process.pid if running is not None and running.process.running else None

    def recorded(self) -> list[ResourceId]:
        """List the services that an earlier run may have left running, configured still or not."""
        return self._records.ids()

    def release(self) -> None:
        """Forget every service and leave it running; the records stay for the next run."""
        for running in self._table.values():
            running.process.release()
            _cancel_sweep(running)
        self._table.clear()
        self._outputs.close()

    def _find(self, service: ServiceSpec, parameters: ProcessParameters, incarnation: Incarnation) -> _Running | None:
        """Find the service in the table or adopt it by its record; a record of a process that is gone is removed."""
        id = service.id
        known = self._table.get(id)
        if known is not None:
            return known
        try:
            record = self._records.read(id) or self._records.take_over(id, service.service, self._table)
            process = None
            if record is not None and record.boot_id == self._processes.boot_id:
                process = self._processes.adopt(record.pid, record.start_time)
        except OSError as error:
            raise ControllerError(verdict_of(error, f"cannot look for a running {id}")) from error
        if process is None:
            self._records.remove(id)
            return None
        return self._keep(id, process, parameters, incarnation)

    def _spawn(self, service: ServiceSpec, parameters: ProcessParameters, incarnation: Incarnation) -> None:
        id, command = service.id, parameters.command
        try:
            process = self._processes.spawn(
                command,
                environment=parameters.environment,
                directory=parameters.directory,
                output=self._output_path(id, parameters),
            )
        except OSError as error:
            raise ControllerError(verdict_of(error, f"cannot start {command[0]}")) from error
        running = self._keep(id, process, parameters, incarnation)
        record = record_of(
            pid=process.pid,
            start_time=process.start_time,
            boot_id=self._processes.boot_id,
            command=command,
            incarnation=incarnation,
            service=service.service,
        )
        try:
            self._records.write(id, record)
        except OSError as error:  # unrecorded it could be lost, and then be started twice
            running.ending = running.killed = True
            self._sweep(running, rounds_left=SWEEP_ROUNDS_MAX)
            raise ControllerError(verdict_of(error, f"cannot record process {process.pid} of {id}")) from error

    def _keep(
        self, id: ResourceId, process: Process, parameters: ProcessParameters, incarnation: Incarnation
    ) -> _Running:
        output = self._output_path(id, parameters)
        running = _Running(id, process, incarnation, parameters.kill_after_s, output)
        self._table[id] = running
        if output is not None:
            self._outputs.watch(output)
        process.on_exit(partial(self._exited, running))
        return running

    def _output_path(self, id: ResourceId, parameters: ProcessParameters) -> str | None:
        return path_under(self._output_folder, id, ".log") if parameters.output == "file" else None

    def _exited(self, running: _Running) -> None:
        """The leader has ended: look after the rest of its group; tell unless an operation asked for it (S4, S6)."""
        asked = running.killed or running.operations > 0
        running.ending = True
        if not running.process.group_running:
            self._forget(running)
        elif running.killed:
            self._sweep(running, rounds_left=SWEEP_ROUNDS_MAX)
        else:
            _signal_quietly(running, signal.SIGTERM, signal.SIGCONT)
            due = self._clock.now() + running.kill_after_s
            running.sweep = self._clock.call_at(due, partial(self._sweep, running, SWEEP_ROUNDS_MAX))
        if not asked:
            evidence = evidence_of(running.process.exit_text)
            self._on_exit(running.id, running.incarnation, Verdict(Reason.PROCESS_GONE, evidence))

    async def _end_service(self, service: ServiceSpec, grace_s_max: float | None) -> None:
        parameters = _parameters(service.parameters)
        running = self._find(service, parameters, Incarnation(0))
        if running is not None:
            grace_s = parameters.kill_after_s
            await self._end(running, grace_s if grace_s_max is None else min(grace_s, grace_s_max))

    async def _end(self, running: _Running, grace_s: float) -> None:
        running.ending = True
        running.operations += 1
        try:
            self._signal(running, signal.SIGTERM, signal.SIGCONT)
            if not await self._gone(running, grace_s):
                self._signal(running, signal.SIGKILL)
                if not await self._gone(running, KILL_GRACE_S):
                    text = f"process {running.process.pid} or its group is still there after SIGKILL"
                    raise ControllerError(Verdict(Reason.PENDING_TIMEOUT, text))
        finally:
            running.operations -= 1
        self._forget(running)

    async def _gone(self, running: _Running, within_s: float) -> bool:
        """Wait until nothing of the service is left, at most so long."""
        deadline = self._clock.now() + within_s
        while running.process.group_running:
            left_s = deadline - self._clock.now()
            if left_s <= 0:
                return False
            await self._clock.sleep(min(left_s, LEADER_POLL_S if running.process.running else GROUP_POLL_S))
        return True

    def _sweep(self, running: _Running, rounds_left: int) -> None:
        """Kill what is left and look again a little later, so that it is forgotten when gone."""
        _cancel_sweep(running)
        if not running.process.group_running:
            self._forget(running)
        elif rounds_left > 0:
            _signal_quietly(running, signal.SIGKILL)
            due = self._clock.now() + KILL_GRACE_S / SWEEP_ROUNDS_MAX
            running.sweep = self._clock.call_at(due, partial(self._sweep, running, rounds_left - 1))

    def _signal(self, running: _Running, *numbers: int) -> None:
        for number in numbers:
            try:
                running.process.signal_group(number)
            except PermissionError as error:
                what = f"may not signal process {running.process.pid} of {running.id}"
                raise ControllerError(verdict_of(error, what)) from error

    def _forget(self, running: _Running) -> None:
        """Nothing of it is left; idempotent."""
        _cancel_sweep(running)
        if self._table.get(running.id) is running:
            del self._table[running.id]
            self._records.remove(running.id)
            if running.output is not None:
                self._outputs.unwatch(running.output)


def _signal_quietly(running: _Running, *numbers: int) -> None:
    """Signal where nobody waits for the answer: the next operation on the service meets the same refusal and tells."""
    with suppress(PermissionError):
        for number in numbers:
            running.process.signal_group(number)


def _cancel_sweep(running: _Running) -> None:
    if running.sweep is not None:
        running.sweep.cancel()
        running.sweep = None


def _parameters(raw: Mapping[str, object]) -> ProcessParameters:
    try:
        return process_parameters(raw)
    except ParametersError as error:
        raise ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))) from error
