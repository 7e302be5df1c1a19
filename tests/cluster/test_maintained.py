"""Maintenance survives a restart of ours, and ends when it is over."""

from __future__ import annotations

import logging

import pytest

from probe.cluster import Kept, MaintenanceFile
from tests.sim.files import MemoryFiles


def test_maintenance_survives_a_restart() -> None:
    """What was saved is in force for the next run, but for what has ended meanwhile."""
    files = MemoryFiles()
    MaintenanceFile(files, "/state").save({"evs1": Kept("anna"), "evs2": Kept("bert", 100.0), "evs3": Kept("", 99.0)})
    again = MaintenanceFile(files, "/state")
    again.load(99.0)
    assert again.groups == {"evs1": Kept("anna"), "evs2": Kept("bert", 100.0)}


def test_without_a_file_nothing_is_in_maintenance() -> None:
    """The first run begins without any."""
    kept = MaintenanceFile(MemoryFiles(), "/state")
    kept.load(0.0)
    assert kept.groups == {}


def test_a_damaged_file_is_set_aside(caplog: pytest.LogCaptureFixture) -> None:
    """A file that makes no sense is kept under another name and said so."""
    files = MemoryFiles.holding({"/state/maintenance.json": b'{"schema_version": 1, "groups": {"evs1": 5}}'})
    kept = MaintenanceFile(files, "/state")
    with caplog.at_level(logging.ERROR):
        kept.load(0.0)
    assert (kept.groups, "set aside" in caplog.text) == ({}, True)
    assert "/state/maintenance.json.unreadable" in files.files
