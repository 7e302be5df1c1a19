"""OCF resource agents on this node: where they are, what they take (their meta-data), what their exit codes mean.

The standard is the Open Cluster Framework's resource agent API, 1.0 and 1.1. Meta-data is XML with a DOCTYPE but no
entity of its own; a declared entity is refused, so that no agent's text can grow when it is read.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple
from xml.parsers import expat

from bindings.store import Files
from bindings.watch import FileStamp
from probe.environment.files import RealFiles
from probe.environment.programs import read_output
from probe.values import Reason

OCF_ROOT = "/usr/lib/ocf"
META_DATA_TIMEOUT_S = 5.0
META_DATA_BYTES_MAX = 262_144  # the longest of Debian's has 13 KB
META_DATA_KEPT_MAX = 128
PARAMETERS_MAX = 1024

_NAME = re.compile(r"ocf:([A-Za-z0-9][A-Za-z0-9._-]{0,62}):([A-Za-z0-9][A-Za-z0-9._-]{0,62})")


class ExitCode(NamedTuple):
    """What an exit code of an agent says: as the end of start or stop, and of a monitor."""

    name: str
    operation: Reason
    monitor: Reason


EXIT_CODES: Mapping[int, ExitCode] = {
    0: ExitCode("success", Reason.MATCHED, Reason.MATCHED),
    1: ExitCode("generic error", Reason.NOT_SERVING, Reason.NOT_SERVING),
    2: ExitCode("wrong arguments", Reason.PROBE_INTERNAL, Reason.PROBE_INTERNAL),
    3: ExitCode("not implemented", Reason.PROBE_INTERNAL, Reason.PROBE_INTERNAL),
    4: ExitCode("insufficient privileges", Reason.PROBER_FORBIDDEN, Reason.PROBER_FORBIDDEN),
    5: ExitCode("not installed", Reason.SERVICE_STOPPED, Reason.PROBE_INTERNAL),
    6: ExitCode("not configured", Reason.SERVICE_STOPPED, Reason.PROBE_INTERNAL),
    7: ExitCode("not running", Reason.SERVICE_STOPPED, Reason.EXTERNAL_STOP),
    8: ExitCode("running as promoted", Reason.MATCHED, Reason.MATCHED),
    9: ExitCode("failed as promoted", Reason.NOT_SERVING, Reason.NOT_SERVING),
    190: ExitCode("degraded", Reason.MATCHED, Reason.MATCHED),
    191: ExitCode("degraded as promoted", Reason.MATCHED, Reason.MATCHED),
}
UNKNOWN_CODE = ExitCode("a code of no meaning", Reason.NOT_SERVING, Reason.PROBE_INTERNAL)


class AgentName(NamedTuple):
    """`ocf:PROVIDER:TYPE`."""

    provider: str
    type: str

    @classmethod
    def parse(cls, text: str) -> AgentName:
        """Read `ocf:heartbeat:IPaddr2`. Raises ValueError; no name leads out of the agents' folder."""
        found = _NAME.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not ocf:PROVIDER:AGENT")
        return cls(*found.groups())

    def path(self, root: str) -> str:
        """Return where the agent's program is."""
        return f"{root}/resource.d/{self.provider}/{self.type}"


class Description(NamedTuple):
    """What an agent says of its parameters."""

    parameters: tuple[str, ...]
    required: tuple[str, ...]


def parse_meta_data(text: bytes) -> Description:
    """Read the parameters out of an agent's meta-data. Raises ValueError for what is none."""
    names: dict[str, bool] = {}
    roots: list[str] = []

    def begin(tag: str, attributes: dict[str, str]) -> None:
        roots.append(tag) if not roots else None
        if tag == "parameter" and len(names) < PARAMETERS_MAX:
            required = attributes.get("required", "0").lower() in ("1", "true", "yes", "on")
            names[attributes.get("name", "")] = required and not attributes.get("deprecated")

    def refuse(*_entity: object) -> None:
        raise ValueError("it declares an entity")

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(f"it is no XML: {error}") from error
    if roots != ["resource-agent"]:
        raise ValueError(f"it is a <{roots[0]}>, not a <resource-agent>")
    names.pop("", None)
    return Description(tuple(names), tuple(name for name, required in names.items() if required))


Describe = Callable[[str, Mapping[str, str]], bytes]


def ask_for_meta_data(path: str, variables: Mapping[str, str]) -> bytes:
    """Run the agent's `meta-data`. Blocks. Raises OSError."""
    return read_output(
        [path, "meta-data"], environment=variables, timeout_s=META_DATA_TIMEOUT_S, bytes_max=META_DATA_BYTES_MAX
    )


class Agents:
    """The agents below one root, asked for their meta-data once for every version of their file. Its methods block."""

    def __init__(
        self, root: str = OCF_ROOT, files: Files | None = None, describe: Describe = ask_for_meta_data
    ) -> None:
        self.root = root
        self._files = files or RealFiles()
        self._describe = describe
        self._known: OrderedDict[tuple[str, FileStamp], Description] = OrderedDict()

    @property
    def providers(self) -> list[str]:
        """The providers on this node; none where there are no agents at all."""
        return self._names(f"{self.root}/resource.d")

    def names(self, provider: str) -> list[str]:
        """List a provider's agents."""
        return self._names(f"{self.root}/resource.d/{provider}")

    def meta_data(self, name: AgentName) -> Description | None:
        """Return what an agent says of its parameters; None when it is not here or says nothing that can be read."""
        path = name.path(self.root)
        variables = {"OCF_ROOT": self.root, "OCF_RESOURCE_INSTANCE": "meta-data"}
        try:
            stamp = self._files.stamp(path)
            if stamp is None:
                return None
            if (path, stamp) not in self._known:
                self._known[path, stamp] = parse_meta_data(self._describe(path, variables))
                if len(self._known) > META_DATA_KEPT_MAX:
                    self._known.popitem(last=False)
            return self._known[path, stamp]
        except (OSError, ValueError):
            return None

    def _names(self, folder: str) -> list[str]:
        try:
            return [name for name in self._files.names(folder) if not name.startswith(".")]
        except OSError:
            return []
