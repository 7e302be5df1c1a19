"""A small language for lifecycle scenarios: commands in, the core's transitions and actions out.

A case is a text file of blocks separated by blank lines. A block is one or more commands, a line `----`, and what the
core answered. `LOOKSALIVE_REWRITE_SCENARIOS=1` writes the answers anew, to be reviewed as a diff.

    resource NAME TYPE CONTROLLER [<- PROVIDER ...] [key=value ...]   describe; nothing happens yet
    load [NAME ...]        configure what was described (since the last load), groups owned here
    remove NAME ...        the store no longer has it
    ask VERB TARGET        an operator's verb; TARGET is NAME, `group`, or another group's `GROUP/`
    started|stopped NAME [op=N]          the controller's answer to its last operation, or to operation N
    failed NAME REASON [op=N]            the controller's refusal
    alive NAME [inc=N] | dead NAME REASON [inc=N]     an edge from the monitor
    suspect NAME [inc=N]   a check failed, the first of a run that is no edge yet
    exited NAME [inc=N]    the process ended by itself
    found NAME             an earlier run of ours left it running
    pass SECONDS           time goes by, ticking whenever something is due
    own yes|no [GROUP]     the group comes or goes
    drain                  we are asked to end
    planned yes|no         the stops to come are planned, or no longer
    upgraded NAME [op=N]   the controller's upgrade is done
    progress NAME DONE TOTAL                  of the operation under way
    maintain yes|no [GROUP] [for=SECONDS]     the group is let alone, or no longer
    room N                 how many storage groups the node mounts
    show                   say the state of every resource

A NAME is one of the group `evs1`; `GROUP/NAME` is one of another group.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from bindings.model import Resource
from probe.lifecycle import actions
from probe.lifecycle.events import (
    Asked,
    Configured,
    Drained,
    Event,
    Exited,
    Found,
    Maintained,
    OperationFailed,
    Owned,
    Planned,
    Probed,
    Progressed,
    Started,
    Stopped,
    Suspected,
    Tick,
    Upgraded,
    Verb,
)
from probe.lifecycle.spec import Spec
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, Refused, World
from probe.resources.types import TYPES
from probe.values import Incarnation, OpId, Reason, ResourceId, Verdict

GROUP = "evs1"


def resource_id(name: str) -> ResourceId:
    """Make an id of `NAME` or `GROUP/NAME`."""
    group, _, rest = name.rpartition("/")
    return ResourceId(group or GROUP, rest)


def name_of(id: ResourceId) -> str:
    """Say an id as the cases do: the group only where it is another one."""
    return id.name if id.group == GROUP else str(id)


def spec(name: str, type: str, controller: str, providers: tuple[str, ...] = (), **changes: Any) -> Spec:
    """Describe a resource of the group with the defaults of the store."""
    values: dict[str, Any] = {
        "id": resource_id(name),
        "traits": TYPES[type].traits,
        "controller": controller,
        "acts": controller != "none",
        "ours_to_stop": controller == "process",
        "depends_on": tuple(resource_id(provider) for provider in providers),
        "restart": True,
        "restart_threshold": 2,
        "restart_period_s": 900.0,
        "restart_delay_s": 0.0,
        "retry_period_s": None,
        "pending_timeout_s": 180.0,
        "auto_start": True,
        "checked": TYPES[type].checked(Resource(group=GROUP, name=name, type=type)),
    }
    return Spec(**(values | changes))


class Scenario:
    """A world at time 0 and the commands that happen to it."""

    def __init__(self) -> None:
        self.world = World()
        self.now = 0.0
        self._described: dict[str, Spec] = {}
        self._ops: dict[str, OpId] = {}
        self._left: set[str] = set()  # groups that `own no` has sent away

    def run(self, line: str) -> list[str]:
        """Run one command; return what the core answered."""
        command, *words = line.split()
        return getattr(self, f"_{command}")(words)  # type: ignore[no-any-return] # looked up by name

    def step(self, event: Event) -> list[str]:
        """Step the world and say what was decided."""
        decision = step(self.world, event, self.now)
        self.world.apply(decision)
        for action in decision.actions:
            if isinstance(action, actions.Start | actions.Stop | actions.Terminate | actions.Upgrade):
                self._ops[name_of(action.id)] = action.op
        return list(_say(decision))

    def _resource(self, words: list[str]) -> list[str]:
        name, type, controller, *rest = words
        changes = dict(word.split("=") for word in rest if "=" in word)
        providers = tuple(word for word in rest if word != "<-" and "=" not in word)
        kinds = Spec.__annotations__
        typed = {key: _value(str(kinds[key]), text) for key, text in changes.items()}
        self._described[name] = spec(name, type, controller, providers, **typed)
        return []

    def _load(self, words: list[str]) -> list[str]:
        names = words or list(self._described)
        said = self.step(Configured(tuple(self._described.pop(name) for name in names)))
        for group in list(self.world.groups.values()):
            if not group.here and group.name not in self._left:
                said += self.step(Owned(group.name, here=True))
        return said

    def _remove(self, words: list[str]) -> list[str]:
        return self.step(Configured((), tuple(resource_id(name) for name in words)))

    def _ask(self, words: list[str]) -> list[str]:
        verb, target = words
        group = GROUP if target == "group" else target.removesuffix("/") if target.endswith("/") else None
        return self.step(Asked(Verb(verb), group or resource_id(target), "tester"))

    def _started(self, words: list[str]) -> list[str]:
        return self.step(Started(self._id(words), self._op(words)))

    def _stopped(self, words: list[str]) -> list[str]:
        return self.step(Stopped(self._id(words), self._op(words)))

    def _failed(self, words: list[str]) -> list[str]:
        return self.step(OperationFailed(self._id(words), self._op(words), Verdict(Reason(words[1]))))

    def _alive(self, words: list[str]) -> list[str]:
        return self.step(Probed(self._id(words), self._incarnation(words), True, Verdict(Reason.MATCHED)))

    def _dead(self, words: list[str]) -> list[str]:
        return self.step(Probed(self._id(words), self._incarnation(words), False, Verdict(Reason(words[1]))))

    def _suspect(self, words: list[str]) -> list[str]:
        return self.step(Suspected(self._id(words), self._incarnation(words)))

    def _exited(self, words: list[str]) -> list[str]:
        return self.step(Exited(self._id(words), self._incarnation(words), Verdict(Reason.PROCESS_GONE)))

    def _upgraded(self, words: list[str]) -> list[str]:
        return self.step(Upgraded(self._id(words), self._op(words)))

    def _progress(self, words: list[str]) -> list[str]:
        said = self.step(Progressed(self._id(words), int(words[1]), int(words[2])))
        return [*said, f"{words[0]} says: {self.world.records[self._id(words)].progress}"]

    def _maintain(self, words: list[str]) -> list[str]:
        group = next((word for word in words[1:] if "=" not in word), GROUP)
        lasting = [self.now + float(word[4:]) for word in words if word.startswith("for=")]
        return self.step(Maintained(group, words[0] == "yes", "tester", lasting[0] if lasting else None))

    def _room(self, words: list[str]) -> list[str]:
        return self.step(Configured((), storage_groups_max=int(words[0])))

    def _found(self, words: list[str]) -> list[str]:
        return self.step(Found(self._id(words)))

    def _own(self, words: list[str]) -> list[str]:
        group = words[1] if len(words) > 1 else GROUP
        here = words[0] == "yes"
        (self._left.discard if here else self._left.add)(group)
        return self.step(Owned(group, here))

    def _drain(self, words: list[str]) -> list[str]:
        return self.step(Drained())

    def _planned(self, words: list[str]) -> list[str]:
        return self.step(Planned(on=words[0] == "yes"))

    def _pass(self, words: list[str]) -> list[str]:
        until = self.now + float(words[0])
        said: list[str] = []
        while (due := self.world.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            said += [f"at {self.now:g}:", *self.step(Tick())]
        self.now = until
        return said

    def _show(self, words: list[str]) -> list[str]:
        said = []
        for record in self.world.records.values():
            cause = "" if record.root_cause is None else f" because of {name_of(record.root_cause)}"
            said.append(
                f"{name_of(record.id)}: {record.state} {record.reason}{cause}, {len(record.attempts)} restarts used"
            )
        return said

    def _id(self, words: list[str]) -> ResourceId:
        return resource_id(words[0])

    def _op(self, words: list[str]) -> OpId:
        given = [word[3:] for word in words if word.startswith("op=")]
        return OpId(int(given[0])) if given else self._ops[words[0]]

    def _incarnation(self, words: list[str]) -> Incarnation:
        given = [word[4:] for word in words if word.startswith("inc=")]
        if given:
            return Incarnation(int(given[0]))
        return self.world.records[self._id(words)].incarnation


def _value(kind: str, text: str) -> object:
    if text == "null":
        return None
    if kind == "str":
        return text
    if "bool" in kind:
        return text == "true"
    return int(text) if kind == "int" else float(text)


def _say(decision: Decision) -> list[str]:
    """Say a decision, one line each: the answer, the transitions, the actions."""
    said = []
    if isinstance(decision.answer, Refused):
        said.append(f"refused {decision.answer.code}: {decision.answer.message}")
    elif decision.answer is not None:
        said.append(f"granted as operation {decision.answer}")
    for edge in decision.transitions:
        cause = "" if edge.root_cause is None else f" because of {name_of(edge.root_cause)}"
        said.append(f"{name_of(edge.id)}: {edge.from_} -> {edge.to} ({edge.reason}{cause}) by {edge.trigger}")
    for action in decision.actions:
        rest = {
            field.name: getattr(action, field.name)
            for field in fields(action)
            if field.name != "id" and getattr(action, field.name) not in (None, False)
        }
        words = "".join(f" {key}={value}" for key, value in rest.items())
        about = action.group if isinstance(action, actions.FailOver) else name_of(action.id)
        said.append(f"  {type(action).__name__} {about}{words}")
    for request in decision.requests.values():
        if request.state != "pending":
            why = f": {request.reason}" if request.reason else ""
            said.append(f"operation {request.op} ({request.verb} {request.target}) is {request.state}{why}")
    return said


def play(text: str) -> str:
    """Play a whole case and return it with the answers as they are now."""
    scenario = Scenario()
    blocks = []
    for block in text.strip().split("\n\n"):
        commands = block.split("\n----")[0].splitlines()
        answers: list[str] = []
        for line in commands:
            if line.strip() and not line.startswith("#"):
                answers += scenario.run(line)
        has_commands = any(line and not line.startswith("#") for line in commands)
        blocks.append("\n".join([*commands, *(["----", *answers] if has_commands else [])]))
    return "\n\n".join(blocks) + "\n"
