#!/usr/bin/env python3
"""Write the software bill of materials, CycloneDX 1.5 as JSON, from the hash-pinned lock; Python alone is needed.

    python3 deploy/sbom.py > looksalive.cdx.json

It lists what `pip install --require-hashes -r deploy/requirements.lock` may install, with the hash of every file that
it may take, what others wrote and the project brings with it, and the project itself. The same sources give the same
bytes: there is no time and no chance in it.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "deploy" / "requirements.lock"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)\s*(?:;\s*([^\\]*?))?\s*\\?$")
HASH = re.compile(r"^\s+--hash=sha256:([0-9a-f]{64})\s*\\?$")
# Files of others that lie among the sources, each with its licence beside it: folder, name, version, licence.
BROUGHT = ((ROOT / "probe" / "api" / "page" / "uplot", "uplot", "1.6.32", "MIT"),)


def components(lock: str) -> list[dict[str, object]]:
    """Read the lock. Raises ValueError with the number of a line that is none of its kinds."""
    found: list[dict[str, object]] = []
    hashes: list[dict[str, str]] = []
    for number, line in enumerate(lock.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match := PINNED.match(line):
            name, version, condition = match.groups()
            purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
            hashes = []
            component: dict[str, object] = {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "purl": purl,
                "scope": "optional" if condition else "required",
                "externalReferences": [{"type": "distribution", "url": purl, "hashes": hashes}],
            }
            if condition:
                component["properties"] = [{"name": "looksalive:condition", "value": condition.strip()}]
            found.append(component)
        elif (match := HASH.match(line)) and found:
            hashes.append({"alg": "SHA-256", "content": match[1]})
        else:
            raise ValueError(f"{LOCK.name}: line {number} is neither NAME==VERSION nor a hash of one")
    return found


def brought() -> list[dict[str, object]]:
    """Describe what lies among the sources, with the hash of each file."""
    found: list[dict[str, object]] = []
    for folder, name, version, licence in BROUGHT:
        purl = f"pkg:npm/{name}@{version}"
        files = [
            {"type": "file", "name": path.name, "hashes": [{"alg": "SHA-256", "content": _digest(path)}]}
            for path in sorted(folder.iterdir())
            if path.name != "LICENSE"
        ]
        found.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "purl": purl,
                "scope": "required",
                "licenses": [{"license": {"id": licence}}],
                "components": files,
            }
        )
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def document(lock: str, project: dict[str, object], version: str) -> dict[str, object]:
    """Make the document: the project on top, everything of the lock and what it brings with it below it."""
    listed = components(lock) + brought()
    purl = f"pkg:pypi/{project['name']}@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, purl + json.dumps(listed))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": purl,
                "name": project["name"],
                "version": version,
                "purl": purl,
                "description": project["description"],
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": listed,
        "dependencies": [{"ref": purl, "dependsOn": [each["bom-ref"] for each in listed]}],
    }


def main() -> None:
    """Print it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.findall(r'"([^"]+)"', (ROOT / "probe" / "version.py").read_text(encoding="utf-8"))[0]
    json.dump(document(LOCK.read_text(encoding="utf-8"), project, version), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
