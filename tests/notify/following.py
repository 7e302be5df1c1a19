"""A world whose every decision the level of alerts follows."""

from __future__ import annotations

from probe.lifecycle.events import Configured, Event, Owned, Probed, Started, Stopped
from probe.lifecycle.spec import Spec
from probe.lifecycle.step import step
from probe.lifecycle.world import World
from probe.notify.alerts import Alerts
from probe.values import Reason, ResourceId, State, Verdict
from tests.lifecycle.worlds import id_of
from tests.scenarios.language import GROUP, spec

WALL = 1_700_000_000.0
SILENT = Verdict(Reason.BANNER_TIMEOUT, "nothing was said")


def observed(*names: str, below: str = "") -> list[Spec]:
    """Describe servers that are only watched; those behind `below` stand on it."""
    return [spec(name, "smtp", "none", (below,) if below and name != below else ()) for name in names]


class Followed:
    """Steps, applies, and has the alerts note it, as the runtime does."""

    def __init__(self, specs: list[Spec], alerts: Alerts | None = None) -> None:
        self.alerts = Alerts() if alerts is None else alerts
        self.world = World()
        self.now = 0.0
        self.happen(Configured(tuple(specs)), Owned(GROUP, here=True))

    def happen(self, *events: Event) -> None:
        """Let it happen now."""
        for event in events:
            decision = step(self.world, event, self.now)
            self.world.apply(decision)
            self.alerts.note(self.world, event, decision, now=self.now, wall=WALL + self.now)

    def probed(self, name: str, verdict: Verdict = SILENT) -> None:
        """The level of a server's checks changes."""
        id = id_of(name)
        self.happen(Probed(id, self.world.records[id].incarnation, verdict.reason is Reason.MATCHED, verdict))

    def well(self, *names: str) -> None:
        """Servers answer as they should."""
        for name in names:
            self.probed(name, Verdict(Reason.MATCHED))

    def answer(self, name: str) -> None:
        """What is asked of a resource succeeds: one step of its way."""
        record = self.world.records[id_of(name)]
        for op in sorted(record.workers):
            start = record.state is State.ONLINE_PENDING and op == record.op
            self.happen(Started(record.id, op) if start else Stopped(record.id, op))
        if not record.workers:
            self.well(name)

    def told(self) -> list[tuple[str, str]]:
        """Tell what is due to a receiver that takes it: (what, resource) each."""
        said = []
        while notices := self.alerts.take(self.now):
            said += [("firing" if firing else "resolved", _name(alert.id)) for alert, firing in notices]
            self.alerts.delivered(notices, self.now)
        return said


def _name(id: ResourceId) -> str:
    return id.name if id.group == GROUP else str(id)
