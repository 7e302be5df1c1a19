"""Blocks of the documents that serve until they are stopped, or speak to a cluster, executed as they stand there."""

from __future__ import annotations

import pytest

from tests.deploy.blocks import Block, all_blocks, run_by
from tests.deploy.cluster import Cluster
from tests.deploy.manifests import PLAIN
from tests.deploy.shell import Shell
from tests.e2e.command import PROJECT
from tests.e2e.images import fetch_wheels
from tests.e2e.programs import need

BLOCKS = run_by("tests/deploy/test_recipes.py")
READY = "looksalive ready http"


def block_with(words: str) -> Block:
    """Return the one block that says something."""
    (found,) = (each for each in BLOCKS if words in each.text)
    return found


def test_none_is_forgotten() -> None:
    """There are tests below for each block that names this file."""
    assert {block_with(each) for each in ("demo.sh", "--webhook-url", "kubectl apply")} == set(BLOCKS)


def test_the_demo_of_a_fresh_checkout(shell: Shell) -> None:
    """README's first block makes its environment from the lock, serves with everything in it, and ends with 0."""
    wheels = fetch_wheels(shell.home / "wheels", "deploy/requirements.lock")
    shell.copy_sources()
    status, output = shell.run(block_with("demo.sh").text, until=READY, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    assert status == 0, output
    assert "making .venv" in output
    assert (shell.top / ".venv/bin/python").exists()


def test_the_webhook_of_a_store(shell: Shell) -> None:
    """The secret is made and taken, and what it is for serves, although nobody can be reached from where it is."""
    need("openssl", "openssl")
    shell.link_sources()
    (shell.top / "mail").symlink_to(PROJECT / "deploy/stores/mail-sidecar")
    status, output = shell.run(block_with("--webhook-url").text, until=READY)
    assert status == 0, output
    assert len((shell.top / "webhook-secret").read_text().strip()) == 64


def test_the_sidecar_is_applied(shell: Shell) -> None:
    """What the two blocks of the recipe make and apply is taken by an API that checks each object strictly."""
    need("openssl", "openssl")
    (made,) = (each for each in all_blocks() if "create secret" in each.text)
    shell.link_sources()
    assert shell.run(made.text)[0] == 0
    with Cluster() as cluster:
        configuration = cluster.write_configuration(shell.home / "kubeconfig")
        status, output = shell.run(block_with("kubectl apply").text, alone=False, KUBECONFIG=str(configuration))
        assert status == 0, output
    kinds = sorted(kind for kind, _ in cluster.objects)
    assert kinds == ["ConfigMap", "Deployment", "NetworkPolicy", "Secret", "Service"]
    volumes = cluster.objects["Deployment", "mail"]["spec"]["template"]["spec"]["volumes"]
    (secret,) = (each["secret"]["secretName"] for each in volumes if "secret" in each)
    (store,) = (each["configMap"]["name"] for each in volumes if "configMap" in each)
    assert {("Secret", secret), ("ConfigMap", store)} <= cluster.objects.keys()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("readOnlyRootFilesystem: true", "readOnlyRoot: true", "readOnlyRoot"),
        ("replicas: 1", "replicas: one", "'one' is not of type"),
    ],
)
def test_a_mistake_is_refused(shell: Shell, before: str, after: str, said: str) -> None:
    """A field that there is not, and a value of the wrong kind, are refused by name."""
    (shell.top / "token.yaml").write_text("")
    (shell.top / "mail.yaml").write_text((PLAIN / "sidecar.yaml").read_text().replace(before, after))
    with Cluster() as cluster:
        configuration = cluster.write_configuration(shell.home / "kubeconfig")
        status, output = shell.run(block_with("kubectl apply").text, alone=False, KUBECONFIG=str(configuration))
    assert status != 0
    assert said in output
