"""What Pacemaker's scheduler would do: `crm_simulate` asked offline about one node, its transition graph read back.

One call answers for many small graphs at once: their resources carry different names and know nothing of each other.
No agent is run and no daemon is there; the simulator needs only the configuration that is written here.
"""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

NODE = "here"
CALL_TIMEOUT_S = 120.0  # a hang ends the test; nothing is judged by it
MONITOR_MS = 10_000
OPTIONS = {
    "stonith-enabled": "false",  # one node, nobody to fence
    "no-quorum-policy": "ignore",  # alone is enough
    "enable-startup-probes": "false",  # what runs before the first start is not the question
}
NOT_RUNNING = 7  # the monitor's return code for a service that ended

T = TypeVar("T")
Step = tuple[str, str]  # ("start" | "stop", resource)
Graph = Mapping[str, Iterable[str]]  # what each resource depends on


@dataclass(frozen=True)
class Transition:
    """What is to be done, and which step waits for which: `(first, then)`, at least those that wait directly."""

    steps: frozenset[Step]
    waits: frozenset[tuple[Step, Step]]

    @cached_property
    def pairs(self) -> frozenset[tuple[Step, Step]]:
        """Every pair of which the first must be done before the second begins, directly or by way of others."""
        before: dict[Step, set[Step]] = {}
        for first, then in self.waits:
            before.setdefault(then, set()).add(first)
        return frozenset((first, then) for then in self.steps for first in _all_before(then, before))

    def of(self, names: Iterable[str]) -> Transition:
        """Keep what is about these resources."""
        kept = frozenset(names)
        return self.cut(step for step in self.steps if step[1] not in kept)

    def cut(self, steps: Iterable[Step]) -> Transition:
        """Leave some steps out, and what only they ordered."""
        left = self.steps.difference(steps)
        return Transition(left, frozenset(wait for wait in self.waits if left.issuperset(wait)))

    def bridge(self, steps: Iterable[Step]) -> Transition:
        """Leave some steps out; what they ordered by standing between stays ordered."""
        return Transition(self.steps, self.pairs).cut(steps)


class Cluster:
    """One node's configuration and status, kept in files of `folder` from one question to the next."""

    def __init__(self, program: str, folder: Path, graph: Graph) -> None:
        self._program = program
        self._folder = folder
        self._state = folder / "cib.xml"
        self._state.write_bytes(ET.tostring(_configuration(graph)))

    def react(
        self, *, offline: Iterable[str] = (), failed: Iterable[str] = (), all_offline: bool = False
    ) -> Transition:
        """Have it reach what is wanted: all online but `offline`. `failed` were just found dead. Goes on from there."""
        cib = ET.parse(self._state)
        _want(cib, frozenset(offline), all_offline)
        cib.write(self._state)
        after, graph = self._folder / "after.xml", self._folder / "graph.xml"
        argv = [self._program, "--quiet", "--simulate", "-x", str(self._state), "-O", str(after), "-G", str(graph)]
        argv += [f"--op-inject={name}_monitor_{MONITOR_MS}@{NODE}={NOT_RUNNING}" for name in sorted(failed)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=CALL_TIMEOUT_S, check=False)
        assert done.returncode == 0, f"crm_simulate: exit {done.returncode}\n{done.stdout}{done.stderr}"
        after.replace(self._state)
        return _read(ET.parse(graph))


def _configuration(graph: Graph) -> ET.Element:
    cib = ET.Element("cib", {"validate-with": "pacemaker-3.0", "epoch": "1", "num_updates": "0", "admin_epoch": "0"})
    cib.set("have-quorum", "1")
    configuration = ET.SubElement(cib, "configuration")
    options = ET.SubElement(ET.SubElement(configuration, "crm_config"), "cluster_property_set", id="options")
    for name, value in OPTIONS.items():
        ET.SubElement(options, "nvpair", id=f"options-{name}", name=name, value=value)
    ET.SubElement(ET.SubElement(configuration, "nodes"), "node", id="1", uname=NODE)
    resources = ET.SubElement(configuration, "resources")
    constraints = ET.SubElement(configuration, "constraints")
    for name, providers in graph.items():
        primitive = ET.SubElement(resources, "primitive", {"id": name, "class": "ocf", "provider": "pacemaker"})
        primitive.set("type", "Dummy")
        ET.SubElement(primitive, "meta_attributes", id=f"{name}-meta")
        operations = ET.SubElement(primitive, "operations")
        ET.SubElement(operations, "op", id=f"{name}-monitor", name="monitor", interval=f"{MONITOR_MS}ms")
        for provider in providers:
            order = {"id": f"order-{provider}-{name}", "first": provider, "then": name}
            ET.SubElement(constraints, "rsc_order", order | {"kind": "Mandatory", "symmetrical": "true"})
    here = {"id": "1", "uname": NODE, "in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
    node = ET.SubElement(ET.SubElement(cib, "status"), "node_state", here)
    ET.SubElement(ET.SubElement(node, "lrm", id="1"), "lrm_resources")
    return cib


def _want(cib: ET.ElementTree[ET.Element], offline: frozenset[str], all_offline: bool) -> None:
    for primitive in cib.iter("primitive"):
        meta = primitive.find("meta_attributes")
        assert meta is not None
        meta.clear()
        name = primitive.attrib["id"]
        meta.set("id", f"{name}-meta")
        if all_offline or name in offline:
            ET.SubElement(meta, "nvpair", id=f"{name}-role", name="target-role", value="Stopped")


def _read(graph: ET.ElementTree[ET.Element]) -> Transition:
    """Read a transition graph; what stands between two steps without being one only passes the waiting on."""
    steps: dict[str, Step] = {}
    before: dict[str, set[str]] = {}
    for synapse in graph.iter("synapse"):
        action = synapse.find("action_set/*")
        assert action is not None
        id = action.attrib["id"]
        before[id] = {each.attrib["id"] for each in synapse.iterfind("inputs/trigger/*")}
        primitive = action.find("primitive")
        if action.tag == "rsc_op" and primitive is not None and action.attrib["operation"] in ("start", "stop"):
            steps[id] = (action.attrib["operation"], primitive.attrib["id"])
    waits = {
        (steps[first], steps[then]) for then in steps for first in _all_before(then, before, steps) if first in steps
    }
    return Transition(frozenset(steps.values()), frozenset(waits))


def _all_before(then: T, before: Mapping[T, set[T]], ends: Container[T] = ()) -> set[T]:
    """Find what comes before, however far back; not what comes before one of `ends`."""
    found: set[T] = set()
    stack = [then]
    while stack:
        for each in before.get(stack.pop(), ()):
            if each not in found:
                found.add(each)
                if each not in ends:
                    stack.append(each)
    return found
