"""The Kubernetes manifests: by their schema, and by what no schema knows, that their parts agree with each other."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from probe.cli.arguments import COMMANDS, command_parser
from probe.cli.drain import add_arguments as add_drain_arguments
from probe.cli.settings import add_run_flags
from tests.deploy.manifests import FOLDER, PLAIN, VARIANTS, build, render
from tests.e2e.command import looksalive

VERSIONS = ("1.29", "1.37")  # the first one with native sidecars switched on, and the newest that the schemas have
NOT_OURS = {"PodMonitor"}  # of the Prometheus operator: Kubernetes' own schemas do not know it
PORT = 9810

Document = dict[str, Any]
each_variant = pytest.mark.parametrize("variant", VARIANTS)


def documents(variant: str) -> dict[str, Document]:
    """Read a variant's manifests by kind; there is one of each."""
    read = list(yaml.safe_load_all((PLAIN / f"{variant}.yaml").read_text()))
    by_kind = {each["kind"]: each for each in read}
    assert len(by_kind) == len(read)
    return by_kind


def pod_of(variant: str) -> Document:
    """Return the pod's template."""
    template: Document = documents(variant)["Deployment"]["spec"]["template"]
    return template


def containers_of(variant: str) -> dict[str, Document]:
    """Return every container by name."""
    spec = pod_of(variant)["spec"]
    return {each["name"]: each for each in [*spec.get("initContainers", ()), *spec["containers"]]}


@each_variant
def test_plain_files_are_current(variant: str) -> None:
    """What is checked below is what kustomize makes now."""
    assert (PLAIN / f"{variant}.yaml").read_text() == render(variant), "python -m tests.deploy.manifests"


def test_kustomize_finds_a_mistake(tmp_path: Path) -> None:
    """A patch of what is not there is no build, and an image that somebody sets is in what is made."""
    shutil.copytree(FOLDER / "sidecar", tmp_path / "sidecar")
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    file = overlay / "kustomization.yaml"
    file.write_text("resources: [../sidecar]\nimages: [{name: registry.example.org/looksalive, newTag: theirs}]\n")
    assert "image: registry.example.org/looksalive:theirs\n" in build(overlay)
    file.write_text(
        "resources: [../sidecar]\npatches: [{patch: '[{op: remove, path: /spec/x}]', target: {kind: Service}}]\n"
    )
    with pytest.raises(subprocess.CalledProcessError):
        build(overlay)


@each_variant
@pytest.mark.parametrize("version", VERSIONS)
def test_schema(variant: str, version: str) -> None:
    """Every object is one that Kubernetes takes, with no field that it does not know."""
    for kind, document in documents(variant).items():
        if kind not in NOT_OURS:
            kubernetes_validate.validate(document, version, strict=True)


def test_schema_finds_a_mistake() -> None:
    """A field that there is not, and a value of the wrong kind, are found."""
    for spoil in ({"restartPolice": "Always"}, {"image": 5}):
        document = documents("sidecar")["Deployment"]
        document["spec"]["template"]["spec"]["containers"][0].update(spoil)
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(document, VERSIONS[0], strict=True)


def test_the_pod_monitor_is_of_its_version_and_has_no_other_field() -> None:
    """The operator's API reference has these fields, of these kinds; none is there that this test does not know."""
    written = documents("monitoring")["PodMonitor"]
    assert (written["apiVersion"], set(written)) == (
        "monitoring.coreos.com/v1",
        {"apiVersion", "kind", "metadata", "spec"},
    )
    assert set(written["spec"]) == {"selector", "podMetricsEndpoints"}
    (endpoint,) = written["spec"]["podMetricsEndpoints"]
    assert endpoint == {"port": "looksalive", "path": "/metrics", "interval": "15s"}


@each_variant
def test_the_store_is_good_and_the_probes_ask_for_what_is_in_it(variant: str, tmp_path: Path) -> None:
    """The ConfigMap is a store without mistakes; each server's probes ask about a resource of it, at our port."""
    config = documents(variant)["ConfigMap"]
    for name, content in config["data"].items():
        (tmp_path / name).write_text(content)
    done = looksalive("validate", "--store", str(tmp_path))
    assert done.returncode == 0, done.stderr
    groups = json.loads(config["data"]["cluster.json"])["groups"]
    known = {f"{group}/{name}" for group, each in groups.items() for name in each["resources"]}
    asked = set()
    for name, container in containers_of(variant).items():
        if name == "looksalive":
            continue
        for kind, path in (("startupProbe", "/readyz/"), ("livenessProbe", "/livez/"), ("readinessProbe", "/readyz/")):
            get = container[kind]["httpGet"]
            assert get["port"] == PORT, "a probe knows the names of its own container's ports only"
            assert get["path"].startswith(path)
            asked.add(get["path"].removeprefix(path))
    assert asked == known
    (volume,) = (each for each in pod_of(variant)["spec"]["volumes"] if "configMap" in each)
    assert volume["configMap"]["name"] == config["metadata"]["name"]


@each_variant
def test_our_command_lines_are_understood(variant: str) -> None:
    """Our parsers take the container's arguments and its preStop hook; the port is the one that is listened at."""
    container = containers_of(variant)["looksalive"]
    assert container["args"][0] == "run"
    run = command_parser(next(each for each in COMMANDS if each.name == "run"))
    add_run_flags(run)
    told = run.parse_args(container["args"][1:])
    assert told.listen == ("0.0.0.0", PORT)
    assert [each["containerPort"] for each in container["ports"]] == [PORT]
    hook = container["lifecycle"]["preStop"]["exec"]["command"]
    assert hook[:2] == ["looksalive", "drain"]
    drain = command_parser(next(each for each in COMMANDS if each.name == "drain"))
    add_drain_arguments(drain)
    said = drain.parse_args(hook[2:])
    grace = pod_of(variant)["spec"]["terminationGracePeriodSeconds"]
    assert said.wait
    assert said.timeout_s + 5 < grace, "the drain and our own end fit into the grace of the pod"
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    for file in (told.token_file, Path(said.token_file)):
        assert str(file.parent) in mounts
    assert told.token_file != Path(said.token_file), "the one holds hashes, the other the token"


@each_variant
def test_it_is_confined(variant: str) -> None:
    """Our container is the image's user, without a capability, on a read-only root, and has no cluster credentials."""
    security = containers_of(variant)["looksalive"]["securityContext"]
    assert security == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod_of(variant)["spec"]["automountServiceAccountToken"] is False


def test_where_the_sidecar_stands() -> None:
    """Native it is an init container that is always restarted; in the classic variant a container among others."""
    native, classic = pod_of("sidecar")["spec"], pod_of("classic")["spec"]
    assert [(each["name"], each["restartPolicy"]) for each in native["initContainers"]] == [("looksalive", "Always")]
    assert [each["name"] for each in native["containers"]] == ["dovecot", "postfix"]
    assert [each["name"] for each in classic["containers"]] == ["looksalive", "dovecot", "postfix"]
    assert "initContainers" not in classic
    assert "restartPolicy" not in classic["containers"][0]


@each_variant
def test_names_and_labels_meet(variant: str) -> None:
    """Selectors select the pod, and every port that is named somewhere is a port of one of its containers."""
    kinds, labels = documents(variant), pod_of(variant)["metadata"]["labels"]
    ports = {each["name"] for container in containers_of(variant).values() for each in container["ports"]}
    selectors = [
        kinds["Deployment"]["spec"]["selector"]["matchLabels"],
        kinds["Service"]["spec"]["selector"],
        kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    named = {each["targetPort"] for each in kinds["Service"]["spec"]["ports"]}
    named |= {each["port"] for rule in kinds["NetworkPolicy"]["spec"]["ingress"] for each in rule["ports"]}
    if "PodMonitor" in kinds:
        monitor = kinds["PodMonitor"]["spec"]
        selectors.append(monitor["selector"]["matchLabels"])
        named |= {each["port"] for each in monitor["podMetricsEndpoints"]}
        assert [each["path"] for each in monitor["podMetricsEndpoints"]] == ["/metrics"]
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert named == ports


def test_every_file_is_used() -> None:
    """No manifest lies about that no kustomization takes up."""
    for folder in VARIANTS:
        written = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())
        generated = [file for each in written.get("configMapGenerator", ()) for file in each["files"]]
        used = {name for name in [*written["resources"], *generated] if not name.startswith("../")}
        there = {str(path.relative_to(FOLDER / folder)) for path in (FOLDER / folder).rglob("*") if path.is_file()}
        assert used == there - {"kustomization.yaml"}
