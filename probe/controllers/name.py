"""The name controller: writes a network-name into its `hosts_file`, as one line of ours for each of its addresses.

How it behaves:
1. A line of ours ends in `# looksalive GROUP/NAME`. Every other line is kept byte for byte; the file is replaced whole
   or not at all, under a lock beside it (`FILE.lock`).
2. `start` writes the addresses of the ip-addresses that the name depends on. A line of somebody else's that leads the
   name elsewhere is a failure that names it; one that leads it to the same address leaves nothing to write.
3. The look, which a network-name without this controller has too: through `hosts_file`, or as the system resolves it,
   the name must lead to those addresses, in each family to no other; without an ip-address to addresses of this node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import PurePosixPath

from bindings.files import Files, replace_file
from probe.controllers.contract import ControllerError, ServiceSpec
from probe.controllers.looking import doubt_of, nothing_to_upgrade, read, read_for, run_alone, unresolved
from probe.environment import Environment, ResolveError
from probe.resources.observed import ADDRESSES
from probe.resources.parameters import NameParameters, read_name
from probe.resources.reading import ParametersError, Problem
from probe.values import Incarnation, Reason, ResourceId, Verdict, evidence_of

HOSTS_BYTES_MAX = 1024 * 1024
MARK = b"# looksalive "


class NameObserver:
    """Looks where names lead."""

    overdue = Reason.DNS_TIMEOUT
    calls_off = False  # neither a resolver's nor a file's call can be

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    async def look(self, id: ResourceId, parameters: Mapping[str, object]) -> Verdict:
        """Resolve the name and compare."""
        try:
            wanted = read(parameters, read_name)
            found = await self._found(id, wanted)
        except ParametersError as error:
            return Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))
        except ResolveError as error:
            return unresolved(error)
        except OSError as error:
            return doubt_of(error, f"cannot look {wanted.name} up")
        network, addresses = self._environment.network, addresses_of(parameters)
        elsewhere = [one for one in found if not (_fits(one, addresses) if addresses else network.is_local(one))]
        led = [one for one in found if one in addresses] if addresses else found
        if led and not elsewhere:
            return Verdict(Reason.MATCHED, evidence_of(f"{wanted.name} is {', '.join(led)}"))
        right = " or ".join(addresses) or "an address of this node"
        wrong = ", ".join(elsewhere or found)
        return Verdict(Reason.NAME_MISMATCH, evidence_of(f"{wanted.name} is {wrong}, not {right}"))

    async def _found(self, id: ResourceId, wanted: NameParameters) -> list[str]:
        """Look the name up. Raises ResolveError, OSError."""
        if wanted.hosts_file is None:
            return [address for _, address in await self._environment.network.resolve(wanted.name)]
        path, files = wanted.hosts_file, self._environment.files
        content = await self._environment.threads.run(("name", id, path), lambda: _content(files, path))
        found = [address for _, address in _leading(wanted.name, content.splitlines())]
        if not found:
            raise ResolveError("nxdomain", f"{path} does not know {wanted.name}")
        return found


class NameController:
    """Writes names into hosts files."""

    acts = True
    ours_to_stop = False

    def __init__(self, environment: Environment) -> None:
        self._threads = environment.threads
        self._files = environment.files

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:  # noqa: ARG002 - the contract's
        """Write the name unless it is there (S57). Raises ControllerError."""
        await self._do(service, self._with_name)

    async def stop(self, service: ServiceSpec) -> None:
        """Remove what we wrote. Raises ControllerError."""
        await self._do(service, lambda service, _, lines: _others(service.id, lines))

    async def terminate(self, service: ServiceSpec) -> None:
        """Remove what we wrote, too: there is nothing quicker (S68). Raises ControllerError."""
        await self.stop(service)

    async def upgrade(self, service: ServiceSpec) -> None:
        """Refuse. Raises ControllerError."""
        raise nothing_to_upgrade(service.id, "name")

    def kill(self, id: ResourceId) -> None:
        """Do nothing: a name has no process."""

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:  # noqa: ARG002 - the contract's
        """Say whether our line is there. Raises ControllerError."""
        wanted, path = _wanted(service)
        lines = self._read(path).splitlines(keepends=True)
        return any(_is_ours(service.id, line) for line in lines) and _is_done(service, wanted, lines)

    def pid(self, id: ResourceId) -> int | None:  # noqa: ARG002 - the contract's
        """Know none."""
        return None

    def release(self) -> None:
        """Leave every name where it is."""

    async def _do(
        self, service: ServiceSpec, change: Callable[[ServiceSpec, NameParameters, list[bytes]], list[bytes]]
    ) -> None:
        wanted, path = _wanted(service)

        def rewrite() -> None:
            with self._files.lock(f"{path}.lock"):
                before = self._read(path)
                after = b"".join(change(service, wanted, before.splitlines(keepends=True)))
                if after != before:
                    where = PurePosixPath(path)
                    replace_file(self._files, str(where.parent), where.name, after)

        try:
            await run_alone(self._threads, ("write a name", service.id), rewrite)
        except OSError as error:
            raise ControllerError(doubt_of(error, f"cannot write {path}")) from error

    def _read(self, path: str) -> bytes:
        """Read the file. Raises ControllerError."""
        try:
            return _content(self._files, path)
        except OSError as error:
            raise ControllerError(doubt_of(error, f"cannot read {path}")) from error

    def _with_name(self, service: ServiceSpec, wanted: NameParameters, lines: list[bytes]) -> list[bytes]:
        addresses = addresses_of(service.resource)
        if not addresses:
            text = f"{service.id} depends on no ip-address: there is no address to write"
            raise ControllerError(Verdict(Reason.NAME_MISMATCH, text))
        kept = _others(service.id, lines)
        there = _leading(wanted.name, kept)
        for number, address in there:
            if not _fits(address, addresses):
                where = f"line {number} of {wanted.hosts_file}"
                text = f"{where} leads {wanted.name} to {address}, not to {' or '.join(addresses)}; remove it there"
                raise ControllerError(Verdict(Reason.NAME_MISMATCH, evidence_of(text)))
        led = {address for _, address in there}
        ours = [_line(service.id, address, wanted.name) for address in addresses if address not in led]
        if ours and kept and not kept[-1].endswith(b"\n"):
            kept[-1] += b"\n"
        return [*kept, *ours]


def hosts_file_problems(parameters: Mapping[str, object]) -> tuple[Problem, ...]:
    """Find that there is nothing to write to, or nothing to write."""
    problems = []
    if parameters.get("hosts_file") is None:
        message = "is missing: without it controller name has nothing to write"
        problems.append(Problem("hosts_file", message, 'for example "/etc/hosts"'))
    if not addresses_of(parameters):
        hint = "let it depend on the group's ip-address"
        problems.append(Problem("name", "leads nowhere: the resource depends on no ip-address", hint))
    return tuple(problems)


def addresses_of(parameters: Mapping[str, object]) -> tuple[str, ...]:
    """Return the addresses that the name must lead to; none where it depends on no ip-address."""
    value = parameters.get(ADDRESSES)
    return tuple(map(str, value)) if isinstance(value, Sequence) else ()


def _content(files: Files, path: str) -> bytes:
    """Read a hosts file; one that is not there is empty. Raises OSError."""
    try:
        return files.read(path, HOSTS_BYTES_MAX)
    except FileNotFoundError:
        return b""


def _wanted(service: ServiceSpec) -> tuple[NameParameters, str]:
    """Return what is wanted and the file to write. Raises ControllerError."""
    wanted = read_for(service, read_name)
    if wanted.hosts_file is None:
        raise ControllerError(Verdict(Reason.PROBE_INTERNAL, f"{service.id} has no hosts_file: nothing to write"))
    return wanted, wanted.hosts_file


def _fits(address: str, addresses: Iterable[str]) -> bool:
    """Whether an answer is one of those wanted, or of a family in which none is."""
    version = ip_address(address).version
    return address in addresses or all(ip_address(one).version != version for one in addresses)


def _leading(name: str, lines: Iterable[bytes]) -> list[tuple[int, str]]:
    """Find where lines of a hosts file (hosts(5)) lead a name: the number of the line and the address."""
    wanted, found = name.lower().rstrip(".").encode("ascii", "replace"), []
    for number, line in enumerate(lines, 1):
        words = line.partition(b"#")[0].split()
        if wanted in [word.lower().rstrip(b".") for word in words[1:]]:
            try:
                found.append((number, str(ip_address(words[0].decode("ascii", "replace")))))
            except ValueError:  # the resolver passes such a line over, too
                continue
    return found


def _line(id: ResourceId, address: str, name: str) -> bytes:
    return f"{address}\t{name}\t{MARK.decode()}{id}\n".encode()


def _is_ours(id: ResourceId, line: bytes) -> bool:
    return line.rstrip().endswith(MARK + str(id).encode())


def _others(id: ResourceId, lines: Iterable[bytes]) -> list[bytes]:
    return [line for line in lines if not _is_ours(id, line)]


def _is_done(service: ServiceSpec, wanted: NameParameters, lines: Iterable[bytes]) -> bool:
    """Whether the name leads to all its addresses and to no other."""
    addresses = addresses_of(service.resource)
    found = [address for _, address in _leading(wanted.name, lines)]
    return set(addresses) <= set(found) and all(_fits(address, addresses) for address in found)
