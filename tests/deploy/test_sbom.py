"""The bill of materials is made from the lock and what lies among the sources, whole, and the same each time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import PurePath
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

from probe.api.page import VENDORED
from probe.version import __version__
from tests.house import ROOT

SCRIPT = ROOT / "deploy" / "sbom.py"
LOCK = (ROOT / "deploy" / "requirements.lock").read_text()
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def made() -> str:
    """Run the script as a user does, without our packages."""
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT)], capture_output=True, text=True, check=True, cwd="/"
    ).stdout


def test_every_pinned_package_is_in_it_with_every_hash() -> None:
    """Names, versions and hashes are those of the lock; what is installed under a condition alone is optional."""
    bill: dict[str, Any] = json.loads(made())
    pinned = [Requirement(line.rstrip(" \\")) for line in LOCK.splitlines() if re.match(r"[a-z]", line)]
    listed = {each["name"]: each for each in bill["components"] if each["purl"].startswith("pkg:pypi/")}
    assert {name: each["version"] for name, each in listed.items()} == {
        each.name: str(each.specifier).removeprefix("==") for each in pinned
    }
    assert {each.name for each in pinned if each.marker} == {
        name for name, each in listed.items() if each["scope"] == "optional"
    }
    hashes = [one["content"] for each in listed.values() for one in each["externalReferences"][0]["hashes"]]
    assert hashes == re.findall(r"sha256:([0-9a-f]{64})", LOCK)
    assert all(each["externalReferences"][0]["hashes"] for each in listed.values())


def test_what_lies_among_the_sources_is_in_it() -> None:
    """Each file of others that the page serves is there with its hash and version; the wheel has its licence."""
    bill: dict[str, Any] = json.loads(made())
    (uplot,) = (each for each in bill["components"] if each["purl"].startswith("pkg:npm/"))
    assert (uplot["name"], uplot["licenses"]) == ("uplot", [{"license": {"id": "MIT"}}])
    hashes = {each["name"]: each["hashes"][0]["content"] for each in uplot["components"]}
    assert hashes == {PurePath(one.path).name: one.sha256 for one in VENDORED.values()}
    assert all(f"-{uplot['version']}." in name for name in VENDORED)
    licences = PROJECT["license-files"]
    assert {f"probe/api/page/{PurePath(one.path).parent}/LICENSE" for one in VENDORED.values()} <= set(licences)
    assert all((ROOT / each).is_file() for each in licences)


def test_the_licence_is_that_of_everything_in_it() -> None:
    """The project names our licence and those of what it brings, in SPDX's words; so do the bill and the images."""
    bill: dict[str, Any] = json.loads(made())
    others = {one["license"]["id"] for each in bill["components"] for one in each.get("licenses", ())}
    expression = " AND ".join(["Apache-2.0", *sorted(others)])
    assert PROJECT["license"] == expression
    assert bill["metadata"]["component"]["licenses"] == [{"expression": expression}]
    label = 'org.opencontainers.image.licenses="'
    files = [path for path in (ROOT / "deploy").rglob("Containerfile*") if label in path.read_text()]
    assert [path.read_text().partition(label)[2].partition('"')[0] for path in files] == [expression] * len(files)
    assert files


def test_it_is_cyclonedx() -> None:
    """The fields that version 1.5 demands are there, references are unique, and what is referred to exists."""
    bill: dict[str, Any] = json.loads(made())
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.5", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    top = bill["metadata"]["component"]
    assert (top["type"], top["name"], top["version"]) == ("application", "looksalive", __version__)
    refs = [top["bom-ref"], *(each["bom-ref"] for each in bill["components"])]
    assert len(set(refs)) == len(refs)
    (below,) = bill["dependencies"]
    assert (below["ref"], sorted(below["dependsOn"])) == (refs[0], sorted(refs[1:]))
    assert all(re.fullmatch(r"pkg:(pypi|npm)/[a-z0-9-]+@[0-9.]+", each["purl"]) for each in bill["components"])


def test_the_official_schema_takes_it() -> None:
    """CycloneDX's own strict validator finds nothing, by the schema of the version that the document names."""
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(made())
    assert error is None, error


@pytest.mark.parametrize("spoil", [{"scope": "perhaps"}, {"verison": "1"}, {"name": 5}])
def test_the_official_schema_finds_a_mistake(spoil: dict[str, Any]) -> None:
    """A word that is not one of its list, a key that it does not know, and a value of the wrong kind are found."""
    bill: dict[str, Any] = json.loads(made())
    bill["components"][0] |= spoil
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(bill)) is not None


def test_the_same_lock_gives_the_same_bytes() -> None:
    """Two runs do not differ by a byte."""
    assert made() == made()
