"""The classic variant played by `podman play kube`: the pod as written, on an image that is this machine's `/usr`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import PLAIN
from tests.e2e.command import PROJECT
from tests.e2e.podman import Podman
from tests.e2e.programs import need
from tests.e2e.waiting import wait_until

WITHIN_S = 40.0
IMAGE = "localhost/empty:1"
TOKEN = "a token of the tests"
OURS = "mail-pod-0-looksalive"  # as podman names the containers of a Deployment
NOBODY = 65532
GREETINGS = {"dovecot": (143, "* OK ready"), "postfix": (25, "220 mail ESMTP")}
SERVER = """\
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listening:
    while True:
        with listening.accept()[0] as connection:
            connection.sendall(sys.argv[2].encode() + b"\\r\\n")
            connection.recv(512)
"""


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test's own."""
    return tmp_path_factory.mktemp("kube")


@pytest.fixture
def podman(folder: Path) -> Iterator[Podman]:
    """A Podman of this test's own."""
    with Podman(folder / "podman") as made:
        yield made
        made("pod", "rm", "--all", "--force", "--time=0", check=False)
        made("volume", "rm", "--all", "--force", check=False)
        made("secret", "rm", "looksalive-token", check=False)


def manifests() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the Deployment and the ConfigMap of the classic variant."""
    kinds = {each["kind"]: each for each in yaml.safe_load_all((PLAIN / "classic.yaml").read_text())}
    return kinds["Deployment"], kinds["ConfigMap"]


def interpreter() -> dict[str, str]:
    """Name what a container needs of us beside `/usr`, and where it sees it."""
    mounts = {str(PROJECT): "/opt/project", sysconfig.get_path("purelib"): "/opt/packages"}
    if not Path(sys.base_prefix).is_relative_to("/usr"):
        mounts[sys.base_prefix] = "/opt/python"
    return mounts


def at_home(deployment: dict[str, Any]) -> list[str]:
    """Put this machine's programs in the place of the images; all else stays as written. Returns how to start ours."""
    spec = deployment["spec"]["template"]["spec"]
    mounts = {"/usr": "/usr", **interpreter()}
    prefix = mounts.get(sys.base_prefix, sys.base_prefix)
    python = f"{prefix}/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    for number, here in enumerate(mounts):
        spec["volumes"].append({"name": f"host-{number}", "hostPath": {"path": here}})
    variables = {"PYTHONPATH": "/opt/project:/opt/packages", "LD_LIBRARY_PATH": f"{prefix}/lib"}
    variables |= {"LOOKSALIVE_STORE": "/etc/looksalive", "LOOKSALIVE_STATE_DIR": "/var/lib/looksalive"}
    variables |= {"PYTHONDONTWRITEBYTECODE": "1"}
    for container in spec["containers"]:
        container["image"] = IMAGE
        del container["ports"]  # podman would publish them on this machine, which a pod of no network cannot
        container.setdefault("volumeMounts", [])
        container["volumeMounts"] += [
            {"name": f"host-{number}", "mountPath": there, "readOnly": True}
            for number, there in enumerate(mounts.values())
        ]
        container["env"] = [{"name": name, "value": value} for name, value in variables.items()]
        if container["name"] in GREETINGS:
            port, greeting = GREETINGS[container["name"]]
            container["command"] = [python, "-c", SERVER, str(port), greeting]
        else:
            container["command"] = [python, "-m", "probe.cli"]
    return [python, "-m", "probe.cli"]


def make_image(podman: Podman, folder: Path) -> None:
    """Make an image that has nothing but folders to mount on."""
    root = podman.root("empty")
    for part in ("var/lib/looksalive", "etc/looksalive", "run/looksalive", "opt/project", "opt/packages", "opt/python"):
        (root / part).mkdir(parents=True)
    os.chown(root / "var/lib/looksalive", NOBODY, NOBODY)  # as in our image: a volume takes its owner from there
    with tarfile.open(folder / "empty.tar", "w") as archive:
        archive.add(root, arcname=".")
    podman("import", str(folder / "empty.tar"), IMAGE)


def secret() -> dict[str, Any]:
    """Make the secret as the README's recipe does."""
    line = f"prestop:operator:{hashlib.sha256(TOKEN.encode()).hexdigest()}"
    data = {name: base64.b64encode(text.encode()).decode() for name, text in (("token", TOKEN), ("tokens", line))}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "looksalive-token"}, "data": data}


def decode_secret(podman: Podman) -> None:
    """Do what a kubelet does and podman 4 does not: bring a secret's values into the pod decoded."""
    form = '{{range .Mounts}}{{.Destination}} {{.Source}}{{"\\n"}}{{end}}'
    mounts = dict(line.split() for line in podman("inspect", f"--format={form}", OURS).splitlines() if line)
    for name in ("token", "tokens"):
        file = Path(mounts["/run/looksalive"], name)
        with suppress(binascii.Error):  # another podman has done it
            file.write_bytes(base64.b64decode(file.read_bytes(), validate=True))


def test_the_pod_as_written_is_played(podman: Podman, folder: Path) -> None:
    """The sidecar watches both servers in one namespace, confined as written; the preStop hook tells of the end."""
    need("catatonit", "catatonit")
    deployment, config = manifests()
    hook = deployment["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    ours = at_home(deployment)
    make_image(podman, folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "all.yaml").write_text(f"{json.dumps(secret())}\n---\n{json.dumps(deployment)}\n")
    podman("play", "kube", "--network=none", f"--configmap={folder / 'config.yaml'}", str(folder / "all.yaml"))

    def ask(path: str) -> tuple[int, str]:
        curl = ("/usr/bin/curl", "--silent", "--write-out", "\\n%{http_code}", f"http://127.0.0.1:9810{path}")
        body, _, status = podman("exec", OURS, *curl, check=False).rpartition("\n")
        return int(status or 0), body

    wait_until(lambda: ask("/readyz/mail/smtp")[0] == 200, "both servers to be alive", WITHIN_S)
    status = Path(f"/proc/{podman('inspect', '--format={{.State.Pid}}', OURS)}/status").read_text().split()
    held = [status[status.index(name) + 1] for name in ("Uid:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:")]
    assert held == [str(NOBODY), "0" * 16, "0" * 16, "1", "2"]
    assert podman("inspect", "--format={{.HostConfig.ReadonlyRootfs}}", OURS) == "true"
    assert "looksalive_kernel_events_active 1\n" in ask("/metrics")[1]

    podman("stop", "--time=0", "mail-pod-0-dovecot")
    wait_until(lambda: ask("/livez/mail/imap")[0] == 503, "the cause to be to blame", WITHIN_S)
    assert (ask("/readyz/mail/imap")[0], ask("/livez/mail/smtp")[0]) == (503, 200)
    podman("start", "mail-pod-0-dovecot")
    wait_until(lambda: ask("/readyz/mail/imap")[0] == 200, "it to be back", WITHIN_S)

    decode_secret(podman)
    assert hook[0] == "looksalive"
    assert podman("exec", OURS, *ours, *hook[1:]) == "the stops to come are planned"
    assert ask("/readyz")[0] == 503
    podman("stop", "--time=10", OURS)
    assert podman("inspect", "--format={{.State.ExitCode}}", OURS) == "0"
