"""One supervisord, asked by XML-RPC over its unix socket or TCP: its programs, their states, its refusals."""

from __future__ import annotations

import asyncio
import errno
from enum import IntEnum
from typing import NamedTuple

from probe.controllers.contract import ControllerError, verdict_of
from probe.controllers.xmlrpc import ANSWER_BYTES_MAX, AnswerError, FaultError, Value, read_answer, write_call
from probe.environment import Http, HttpError
from probe.values import Reason, Verdict, evidence_of

CALL_TIMEOUT_S = 10.0
HTTP_OK, HTTP_UNAUTHORIZED = 200, 401
_HEADERS = {"Content-Type": "text/xml", "User-Agent": "looksalive"}

_UNREACHABLE = {
    errno.ENOENT: Reason.CONNECT_REFUSED,  # the socket's file is removed when its supervisord ends
    errno.ECONNREFUSED: Reason.CONNECT_REFUSED,
    errno.EACCES: Reason.PROBER_FORBIDDEN,
    errno.EPERM: Reason.PROBER_FORBIDDEN,
}


class ProgramState(IntEnum):
    """supervisord's process states, by its numbers."""

    STOPPED = 0
    STARTING = 10
    RUNNING = 20
    BACKOFF = 30  # it ended too soon, and is about to be started again
    STOPPING = 40
    EXITED = 100
    FATAL = 200  # it ended too soon too often
    UNKNOWN = 1000


UNDER_WAY = frozenset({ProgramState.STARTING, ProgramState.BACKOFF})
UP = frozenset({ProgramState.RUNNING, *UNDER_WAY})  # what supervisord calls running: it will be stopped, not started


class FaultCode(IntEnum):
    """supervisord's refusals that say that there is nothing to do."""

    BAD_NAME = 10
    ALREADY_STARTED = 60
    NOT_RUNNING = 70


class Program(NamedTuple):
    """A program as supervisord tells of it."""

    name: str  # GROUP:NAME
    state: ProgramState
    pid: int
    text: str  # untrusted: why it could not be started, or how it ended


class Place(NamedTuple):
    """Where a supervisord listens: a unix socket, or `http://HOST:PORT`."""

    socket: str | None
    url: str

    def __str__(self) -> str:
        return self.socket or self.url


class Supervisor:
    """One supervisord."""

    def __init__(self, place: Place, http: Http) -> None:
        self.place = place
        self._http = http

    async def call(self, method: str, *arguments: str | bool) -> Value:
        """Call `supervisor.METHOD`, for as long as it takes. Raises FaultError, and ControllerError for all else."""
        try:
            answer = await self._http.ask(
                "POST",
                f"{self.place.url}/RPC2",
                socket=self.place.socket,
                body=write_call(f"supervisor.{method}", *arguments),
                headers=_HEADERS,
                bytes_max=ANSWER_BYTES_MAX,
            )
        except OSError as error:
            otherwise = _UNREACHABLE.get(error.errno or 0, Reason.CONNECT_UNREACHABLE)
            raise ControllerError(verdict_of(error, f"cannot reach supervisord at {self.place}", otherwise)) from error
        except HttpError as error:
            raise self._misunderstood(str(error)) from error
        if answer.status == HTTP_UNAUTHORIZED:
            text = f"supervisord at {self.place} wants a user name and a password, which this controller does not give"
            raise ControllerError(Verdict(Reason.PROBER_FORBIDDEN, evidence_of(text)))
        if answer.status != HTTP_OK:
            raise self._misunderstood(f"HTTP status {answer.status}")
        try:
            return read_answer(answer.body)
        except AnswerError as error:
            raise self._misunderstood(str(error)) from error

    async def program(self, name: str) -> Program:
        """Ask how one program is. Raises ControllerError."""
        try:
            return self._read(await self._soon("getProcessInfo", name))
        except FaultError as fault:
            raise self.refusal(f"tell of {name}", fault) from fault

    async def programs(self) -> dict[str, Program]:
        """Ask how all programs are, by GROUP:NAME. Raises ControllerError."""
        try:
            answer = await self._soon("getAllProcessInfo")
        except FaultError as fault:
            raise self.refusal("tell of its programs", fault) from fault
        if not isinstance(answer, list):
            raise self._misunderstood("its programs are no list")
        programs = [self._read(each) for each in answer]
        return {each.name: each for each in programs}

    def refusal(self, what: str, fault: FaultError) -> ControllerError:
        """Say that it refused to do something."""
        text = f"supervisord at {self.place} will not {what}: {fault.text} (fault {fault.code})"
        unknown = fault.code == FaultCode.BAD_NAME  # a mistake in the store
        return ControllerError(
            Verdict(Reason.PROBE_INTERNAL if unknown else Reason.REFUSED_BY_SERVER, evidence_of(text))
        )

    async def _soon(self, method: str, *arguments: str) -> Value:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await self.call(method, *arguments)
        except TimeoutError:
            text = f"supervisord at {self.place} did not answer within {CALL_TIMEOUT_S:g} s"
            raise ControllerError(Verdict(Reason.STEP_TIMEOUT, evidence_of(text))) from None

    def _read(self, value: Value) -> Program:
        """Read what is told of one program. Raises ControllerError."""
        if isinstance(value, dict):
            group, name, state, pid = (value.get(key) for key in ("group", "name", "state", "pid"))
            if isinstance(group, str) and isinstance(name, str) and isinstance(state, int) and isinstance(pid, int):
                text = _text_of(value.get("spawnerr"), value.get("description"))
                return Program(f"{group}:{name}", _state_of(state), pid, text)
        raise self._misunderstood("it tells of a program in words of its own")

    def _misunderstood(self, why: str) -> ControllerError:
        text = f"what answers at {self.place} is no supervisord that we understand: {why}"
        return ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(text)))


def _state_of(number: int) -> ProgramState:
    try:
        return ProgramState(number)
    except ValueError:
        return ProgramState.UNKNOWN


def _text_of(spawnerr: Value, description: Value) -> str:
    return next((text for text in (spawnerr, description) if isinstance(text, str) and text), "")
