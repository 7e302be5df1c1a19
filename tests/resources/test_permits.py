"""What may come over the network: nothing that names a program or a file by itself."""

from __future__ import annotations

import pytest

from bindings.edits import Edit, Properties
from probe.resources.changes import Present, Refused
from probe.resources.permits import check_permitted
from tests.resources.stores import Bench
from tests.sim.files import MemoryFiles

CLUSTER = """{"schema_version": 1, "allowed_controllers": ["systemd:dovecot.service", "supervisord", "process", "ocf"],
  "allowed_files": ["/etc/ca.pem"], "groups": {"g": {"resources": {
    "old": {"type": "service", "controller": {"kind": "process", "command": ["/usr/bin/x"]}},
    "disk": {"type": "physical-disk", "parameters": {"mount_point": "/srv/old"}}}}}}"""
METABASE = '{"schema_version": 1, "keys": {"/imap/1": {"bindings": [":143"], "tls": {"ca_file": "/old.pem"}}}}'


def present() -> Present:
    """Read a store that lists what is allowed."""
    return Bench(MemoryFiles.holding({"/store/metabase.json": METABASE, "/store/cluster.json": CLUSTER})).read()


def service(controller: Properties) -> Edit:
    """An edit that makes a service with a controller."""
    return Edit(resources={("g", "new"): {"type": "service", "controller": controller}})


def typed(type: str, **parameters: object) -> Edit:
    """An edit that makes a resource with parameters."""
    return Edit(resources={("g", "new"): {"type": type, "parameters": parameters}})


ALLOWED = [
    service({"kind": "none"}),
    service({"kind": "systemd", "unit": "dovecot.service"}),
    service({"kind": "supervisord", "program": "dovecot"}),
    Edit(resources={("g", "old"): {"type": "service", "controller": {"kind": "process", "command": ["/usr/bin/x"]}}}),
    Edit(resources={("g", "disk"): {"type": "physical-disk", "parameters": {"mount_point": "/srv/old"}}}),
    Edit(resources={("g", "old"): None}),
    typed("information-store", name="x", health="http://127.0.0.1:80/alive"),
    typed("smtp", virtual_server="/smtp/1"),
    Edit({"/imap/1": {"bindings": [":144"], "tls": {"ca_file": "/old.pem"}}}),
    Edit({"/imap/1": {"bindings": [":143"], "tls": {"ca_file": "/etc/ca.pem"}}}),
    Edit({"/http/1": {"bindings": [":80"], "path": "/health", "headers": {"X": "/y"}}}),
    Edit({"/imap/1": None}),
    service(
        {"kind": "metabase", "virtual_server": "/imap/1", "service": {"kind": "systemd", "unit": "dovecot.service"}}
    ),
]
FORBIDDEN = [
    (service({"kind": "systemd", "unit": "sshd.service"}), "systemd:sshd.service"),
    (service({"kind": "container", "container": "x"}), "container:x"),
    (service({"kind": "process", "command": ["/bin/sh"]}), "run a program by the controller process"),
    (service({"kind": "ocf", "agent": "ocf:heartbeat:Dummy"}), "run a program by the controller ocf"),
    (service({"kind": "exec", "start": ["/bin/sh"]}), "run a program by the controller exec"),
    (service({"kind": "supervisord", "program": "x", "upgrade": ["/bin/sh"]}), "run a program"),
    (service({"kind": "supervisord", "program": "x", "socket": "/tmp/mine.sock"}), "/tmp/mine.sock"),
    (service({"kind": "systemd", "unit": "dovecot.service", "bus": "unix:path=/tmp/bus"}), "unix:path=/tmp/bus"),
    (service({"kind": "metabase", "service": {"kind": "process", "command": ["/bin/sh"]}}), "run a program"),
    (typed("exec", argv=["/bin/sh"]), "argv names a program"),
    (typed("routing", instance_start=["/bin/sh"]), "instance_start names a program"),
    (typed("information-store", storage_groups=[{"name": "x", "mount": ["/bin/sh"]}]), "names a program"),
    (typed("physical-disk", mount_point="/srv/new"), "/srv/new"),
    (typed("network-name", name="x", hosts_file="/etc/hosts"), "/etc/hosts"),
    (Edit({"/imap/1": {"tls": {"ca_file": "/etc/shadow"}}}), "/etc/shadow"),
    (Edit({"/http/1": {"headers": {"X": {"file": "/etc/shadow"}}}}), "/etc/shadow"),
    (Edit({"/http/1": {"bindings": ["unix:/run/docker.sock"]}}), "unix:/run/docker.sock"),
    (Edit({"/imap": {"tls": {"client_key_file": "/k"}}}), "/k"),
]


@pytest.mark.parametrize("edit", ALLOWED)
def test_what_is_listed_or_so_already_is_allowed(edit: Edit) -> None:
    """A listed kind or service, a listed file, and whatever is written there already."""
    check_permitted(present(), edit, "looksalive x")


@pytest.mark.parametrize(("edit", "words"), FORBIDDEN)
def test_programs_and_new_paths_are_for_the_store_itself(edit: Edit, words: str) -> None:
    """Programs, also of kinds that are listed, and paths that are not: refused, with the command that would do it."""
    with pytest.raises(Refused) as caught:
        check_permitted(present(), edit, "looksalive create x")
    assert caught.value.code == "only_on_the_store"
    assert words in caught.value.message
    assert caught.value.message.endswith("run it on the store: looksalive create x")
