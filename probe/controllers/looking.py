"""What the looks share: parameters read anew for each, our own faults kept apart from what is looked at."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import TypeVar

from probe.controllers.contract import ControllerError, ServiceSpec
from probe.controllers.reading import Reading
from probe.environment import ResolveError
from probe.environment.machine import Threads
from probe.resources.reading import ParametersError, Problem
from probe.values import Reason, ResourceId, Verdict, evidence_of

T = TypeVar("T")

_OURS = {
    errno.EMFILE: Reason.PROBER_DESCRIPTORS,
    errno.ENFILE: Reason.PROBER_DESCRIPTORS,
    errno.EACCES: Reason.PROBER_FORBIDDEN,
    errno.EPERM: Reason.PROBER_FORBIDDEN,
    errno.EAGAIN: Reason.PROBE_INTERNAL,
    errno.ENOMEM: Reason.PROBE_INTERNAL,
    errno.ENOBUFS: Reason.PROBE_INTERNAL,
    errno.ENOSYS: Reason.PROBE_INTERNAL,
}
_RESOLVING = {
    "nxdomain": Reason.DNS_NXDOMAIN,
    "timeout": Reason.DNS_TIMEOUT,
    "servfail": Reason.DNS_SERVFAIL,
}


def text_of(error: OSError, what: str) -> str:
    """Say what failed and why, with the file that it was about where `what` does not name it."""
    where = f" ({error.filename})" if error.filename and str(error.filename) not in what else ""
    return f"{what}: {error.strerror or error}{where}"


def doubt_of(error: OSError, what: str) -> Verdict:
    """Say that a look could not be taken: nothing is known of what was to be looked at."""
    return Verdict(_OURS.get(error.errno or 0, Reason.PROBE_INTERNAL), evidence_of(text_of(error, what)))


def fault_of(error: OSError, what: str, otherwise: Reason) -> Verdict:
    """Judge an error met while looking: ours (unknown) where it is, else what was looked at has failed."""
    return Verdict(_OURS.get(error.errno or 0, otherwise), evidence_of(text_of(error, what)))


def unresolved(error: ResolveError) -> Verdict:
    """Judge a failed lookup as the probes do: only that the name does not exist is a failure."""
    return Verdict(_RESOLVING.get(error.kind, Reason.DNS_SERVFAIL), evidence_of(str(error)))


def read(parameters: Mapping[str, object], reader: Callable[[Reading], T]) -> T:
    """Read parameters that were checked when the store was. Raises ParametersError."""
    reading = Reading(parameters)
    value = reader(reading)
    reading.finish()
    return value


def read_for(service: ServiceSpec, reader: Callable[[Reading], T]) -> T:
    """Read the resource's own parameters for a controller. Raises ControllerError."""
    try:
        return read(service.resource, reader)
    except ParametersError as error:
        raise ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))) from error


async def run_alone(threads: Threads, key: object, call: Callable[[], None]) -> None:
    """Make a call that changes something, once every earlier one of its key has returned, cancelled or not.

    Raises what it raises.
    """

    def once() -> tuple[object, Exception | None]:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised below, where it is known whose it is
            return once, error
        return once, None

    while True:
        made, error = await threads.run(key, once)
        if made is once:
            if error is not None:
                raise error
            return


def no_parameters(kind: str, parameters: Mapping[str, object]) -> tuple[Problem, ...]:
    """List the parameters of a controller that takes none beside the resource's own."""
    hint = "write it into the resource's own parameters"
    return tuple(Problem(key, f"controller {kind} takes no parameters", hint) for key in parameters)


def nothing_to_upgrade(id: ResourceId, kind: str) -> ControllerError:
    """Refuse an upgrade."""
    return ControllerError(Verdict(Reason.PROBE_INTERNAL, f"{id} has controller {kind}: there is nothing to upgrade"))
