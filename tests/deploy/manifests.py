"""The Kubernetes manifests as plain files, made by kustomize: `python -m tests.deploy.manifests` writes them anew."""

from __future__ import annotations

import json
import shutil
import subprocess

from tests.house import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
PLAIN = FOLDER / "plain"
VARIANTS = ("sidecar", "classic", "monitoring")
KUSTOMIZE_MIN = (4, 0)  # older ones do not know `labels`; Debian 12's kubectl has 2.0


def kustomize_of(kubectl: str) -> tuple[int, int]:
    """Ask a kubectl which kustomize it has; (0, 0) when it does not say."""
    command = [kubectl, "version", "--client", "--output=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout or "{}").get("kustomizeVersion", "v0.0")
    major, minor = said.removeprefix("v").split(".")[:2]
    return int(major), int(minor)


def render(kubectl: str, variant: str) -> str:
    """Make the manifests of a variant. Raises CalledProcessError."""
    command = [kubectl, "kustomize", str(FOLDER / variant)]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    note = f"# Made from deploy/kubernetes/{variant} by `python -m tests.deploy.manifests`.\n"
    return note + made


def main() -> None:
    """Write every variant."""
    kubectl = shutil.which("kubectl")
    if kubectl is None or kustomize_of(kubectl) < KUSTOMIZE_MIN:
        raise SystemExit("a kubectl with kustomize 4 or later is needed (kubectl 1.21)")
    for variant in VARIANTS:
        (PLAIN / f"{variant}.yaml").write_text(render(kubectl, variant))


if __name__ == "__main__":
    main()
