"""The Kubernetes manifests as plain files, made by kustomize: `python -m tests.deploy.manifests` writes them anew."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.programs import of_tests
from tests.house import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
PLAIN = FOLDER / "plain"
VARIANTS = ("sidecar", "classic", "monitoring")


def build(folder: Path) -> str:
    """Have kustomize build a folder, by the kubectl of the tests' environment. Raises CalledProcessError."""
    command = [of_tests("kubectl"), "kustomize", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def render(variant: str) -> str:
    """Make the manifests of a variant. Raises CalledProcessError."""
    note = f"# Made from deploy/kubernetes/{variant} by `python -m tests.deploy.manifests`.\n"
    return note + build(FOLDER / variant)


def main() -> None:
    """Write every variant."""
    for variant in VARIANTS:
        (PLAIN / f"{variant}.yaml").write_text(render(variant))


if __name__ == "__main__":
    main()
