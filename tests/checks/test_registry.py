"""probe/checks/__init__.py: a check for every protocol of the store."""

from __future__ import annotations

import pytest

from bindings.model import PROTOCOLS
from tests.checks.drive import check_of, drive


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_has_a_check(protocol: str) -> None:
    """S29: every protocol that the store allows has its check; http alone speaks first."""
    check = check_of(protocol)
    assert check.speaks_first == (protocol == "http")
    assert bool(drive(check, []).sent) == (protocol == "http")


def test_grpc_has_its_check_and_no_key_in_the_store() -> None:
    """S13, S23: gRPC is a protocol of resource types alone, and its client speaks first."""
    assert "grpc" not in PROTOCOLS
    assert check_of("grpc").speaks_first


@pytest.mark.parametrize("protocol", [*PROTOCOLS, "grpc", "json"])
def test_checks_and_conversations_are_slotted(protocol: str) -> None:
    """A hundred thousand checks and their conversations carry no dict each."""
    check = check_of("http", body_json="active") if protocol == "json" else check_of(protocol)
    assert not hasattr(check, "__dict__")
    assert not hasattr(check.begin(), "__dict__")
