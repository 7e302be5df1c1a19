"""Plans and targets: addresses, sources, secrets, TLS terms, and whose timings count."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable
from typing import Any

import pytest

from bindings.model import Resource, Secret, Tls
from probe.environment import Environment
from probe.environment.files import RealFiles
from probe.monitor.plan import Plans
from probe.monitor.target import Target
from probe.monitor.targets import SECRET_BYTES_MAX, Targets
from probe.values import Outcome, Reason
from tests.monitor.rig import plan_of, targets_of, virtual_server
from tests.sim.environment import make_environment
from tests.sim.loop import run_virtual
from tests.sim.machine import Machine


def simulate(body: Callable[[Environment, Machine], None]) -> None:
    """Run a body on a new simulated machine."""

    async def main() -> None:
        body(*make_environment(seed=1))

    run_virtual(main())


def target_of(environment: Environment, binding: str, own: str | None = None, **properties: Any) -> Target:
    """Build the target of one binding; `tls:` in front makes it a secure one."""
    secure = binding.startswith("tls:")
    text = binding.removeprefix("tls:")
    server = virtual_server(*([] if secure else [text]), secure=(text,) if secure else (), **properties)
    return Targets(environment).targets_for(server, own)[0]


def test_the_resource_s_own_timings_come_first() -> None:
    """Period, fast interval, rise and fall of the resource come before the virtual server's."""

    def body(environment: Environment, machine: Machine) -> None:
        server = virtual_server("127.0.0.1:25", poll_interval_s=7, fast_interval_s=2, rise=4, fall=5, probe_timeout_s=3)
        inherited = plan_of(environment, server)
        assert (inherited.period_s, inherited.fast_s, inherited.rise, inherited.fall) == (7, 2, 4, 5)
        assert inherited.fresh_s == 3 * 7 + 3
        own = plan_of(environment, server, poll_interval_s=1.0, fast_interval_s=0.5, rise=1, fall=1)
        assert (own.period_s, own.fast_s, own.rise, own.fall) == (1, 0.5, 1, 1)
        assert str(own.id) == "default/smtp-1"

    simulate(body)


@pytest.mark.parametrize(
    ("binding", "address", "source"),
    [
        ("127.0.0.1:25", "127.0.0.1", None),  # the kernel chooses it itself
        ("127.0.0.2:25", "127.0.0.2", "127.0.0.2"),
        ("[::1]:25", "::1", None),
        ("10.0.0.5:25", "10.0.0.5", "10.0.0.5"),
        ("192.0.2.1:25", "192.0.2.1", None),
        (":25", "127.0.0.1", None),
        ("*:25", "127.0.0.1", None),
        ("0.0.0.0:25", "127.0.0.1", None),
        ("[::]:25", "::1", None),
    ],
)
def test_the_source_is_the_binding_s_own_address(binding: str, address: str, source: str | None) -> None:
    """S34: a local address is asked from itself, a distant one from wherever; a wildcard is loopback."""

    def body(environment: Environment, machine: Machine) -> None:
        machine.add_address("10.0.0.5")
        target = target_of(environment, binding)
        assert target.address == (address, 25)
        assert target.source == (None if source is None else (source, 0))
        assert target.family == (socket.AF_INET6 if ":" in address else socket.AF_INET)

    simulate(body)


def test_a_wildcard_is_the_group_s_own_address() -> None:
    """S33, S34: in a group with an ip-address a wildcard means it, and it is bound although it is not here yet."""

    def body(environment: Environment, machine: Machine) -> None:
        for binding in ("*:25", ":25", "10.0.0.9:25"):
            target = target_of(environment, binding, "10.0.0.9/24")
            assert (target.address, target.source) == (("10.0.0.9", 25), ("10.0.0.9", 0))

    simulate(body)


def test_a_source_of_one_s_own_is_used() -> None:
    """A `source` in the store is bound, whatever the binding; of the wrong family it is an obstacle."""

    def body(environment: Environment, machine: Machine) -> None:
        assert target_of(environment, "192.0.2.1:25", source="10.0.0.1").source == ("10.0.0.1", 0)
        wrong = target_of(environment, "[2001:db8::1]:25", source="10.0.0.1").obstacle
        assert wrong is not None
        assert "family" in wrong.evidence
        name = target_of(environment, "mail.example.org:25", source="10.0.0.1").name
        assert name is not None
        both = [(int(socket.AF_INET6), "2001:db8::1"), (int(socket.AF_INET), "192.0.2.1")]
        assert name.fitting(both) == both[1:]
        assert name.fitting(both[:1]) == both[:1]

    simulate(body)


def test_a_name_is_pinned_to_an_address() -> None:
    """A name stays a name until it is looked up; each address of it becomes a target with its own source."""

    def body(environment: Environment, machine: Machine) -> None:
        target = target_of(environment, "tls:mail.example.org:465")
        assert target.name is not None
        assert target.tls is not None
        assert target.tls.server_name == "mail.example.org"
        pinned = target.name.pin(int(socket.AF_INET), "127.0.0.9")
        assert pinned.name is None
        assert (pinned.address, pinned.source, pinned.text) == (
            ("127.0.0.9", 465),
            ("127.0.0.9", 0),
            "127.0.0.9:465",
        )
        assert pinned.tls is target.tls

    simulate(body)


@pytest.mark.parametrize(
    ("binding", "tls", "name"),
    [
        ("tls:127.0.0.1:465", Tls(), "127.0.0.1"),
        ("tls:[::1]:465", Tls(), "::1"),
        ("tls:127.0.0.1:443:www.example.org", Tls(), "www.example.org"),
        ("tls:127.0.0.1:443:www.example.org", Tls(server_name="other.example.org"), "other.example.org"),
        ("tls:unix:/run/smtp.sock", Tls(), "localhost"),
    ],
)
def test_the_name_that_is_verified(binding: str, tls: Tls, name: str) -> None:
    """`server_name`, else the binding's host, else the name, else the address."""

    def body(environment: Environment, machine: Machine) -> None:
        terms = target_of(environment, binding, tls=tls).tls
        assert terms is not None
        assert terms.server_name == name

    simulate(body)


def test_those_that_judge_alike_share_a_context() -> None:
    """One TLS context serves all bindings with the same trust; another judgement has another one."""

    def body(environment: Environment, machine: Machine) -> None:
        server = virtual_server(secure=("127.0.0.1:465", "127.0.0.1:993"))
        targets = Targets(environment)
        terms = [target.tls for target in targets.targets_for(server)]
        other = targets.targets_for(virtual_server(secure=("127.0.0.1:465",), tls=Tls(verify=False)))[0].tls
        contexts = [each.context for each in (*terms, other) if each is not None]
        assert contexts[0] is contexts[1]
        assert contexts[2] is not contexts[0]
        targets.forget_files()
        anew = targets.targets_for(server)[0].tls
        assert anew is not None
        assert anew.context is not contexts[0]

    simulate(body)


def test_a_secret_is_read_and_a_missing_one_is_an_obstacle(tmp_path: Any) -> None:
    """A header's secret is read from its file, bounded; what cannot be read is unknown and named, others go on."""
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "huge").write_bytes(b"x" * (SECRET_BYTES_MAX + 1))

    def body(environment: Environment, machine: Machine) -> None:
        real = dataclasses.replace(environment, files=RealFiles())

        def asked(name: str) -> Target:
            headers = (("Authorization", Secret(str(tmp_path / name))),)
            return target_of(real, "127.0.0.1:80", protocol="http", headers=headers)

        assert b"Authorization: s3cret\r\n" in asked("token").check.begin().opened()
        for name in ("missing", "huge"):
            obstacle = asked(name).obstacle
            assert obstacle is not None
            assert (obstacle.outcome, obstacle.reason) == (Outcome.UNKNOWN, Reason.PROBE_INTERNAL)
            assert name in obstacle.evidence

    simulate(body)


@pytest.mark.parametrize("tls", [Tls(ca_file="/missing/ca.pem"), Tls(client_cert_file="/missing/client.pem")])
def test_an_unreadable_certificate_is_an_obstacle(tls: Tls) -> None:
    """A CA or client certificate that cannot be loaded makes its bindings unknown; a plan never raises for it."""

    def body(environment: Environment, machine: Machine) -> None:
        obstacle = target_of(environment, "tls:127.0.0.1:465", tls=tls).obstacle
        assert obstacle is not None
        assert obstacle.outcome is Outcome.UNKNOWN

    simulate(body)


def test_who_speaks_first_decides_what_is_armed() -> None:
    """Only http, TLS on connect, a PROXY header and a bare tcp binding wait for the connect; SMTP only listens."""

    def body(environment: Environment, machine: Machine) -> None:
        def armed(binding: str, **properties: Any) -> tuple[bool, bool]:
            target = target_of(environment, binding, **properties)
            return target.waits_for_connect, target.near

        assert not armed("127.0.0.1:25")[0]
        assert armed("127.0.0.1:80", protocol="http") == (True, True)
        assert armed("192.0.2.1:80", protocol="http") == (True, False)
        assert armed("tls:127.0.0.1:465") == (True, True)
        assert armed("127.0.0.1:25", proxy_protocol="v1") == (True, True)
        assert armed("127.0.0.1:25", protocol="tcp") == (True, False)
        assert not armed("127.0.0.1:25", protocol="tcp", expect=("SSH",))[0]

    simulate(body)


def test_plans_of_one_server_are_made_without_looking_at_the_others() -> None:
    """A resource's plan has the targets of its server, plain ones first."""

    def body(environment: Environment, machine: Machine) -> None:
        server = virtual_server("127.0.0.1:25", secure=("127.0.0.1:465",), binding_policy="any")
        plan = Plans(environment).plan_for(Resource(group="g", name="n", type="smtp"), server)
        assert [target.binding for target in plan.targets] == ["127.0.0.1:25", "127.0.0.1:465"]
        assert plan.policy == "any"
        assert targets_of(environment, server)[0].tls is None

    simulate(body)
