"""probe/resources/types.py and the modules it loads: every type there is, and modules that are broken."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bindings.model import PROTOCOLS, Resource
from probe.resources.contract import ENTRY_POINTS, ResourceType
from probe.resources.types import OURS, TYPES, TypeTable
from tests.house import ROOT

REFERENCE = {"ip-address", "network-name", "physical-disk", "system-attendant", "information-store", "mta", "routing",
             "search", "smtp", "pop3", "imap", "http"}  # fmt: skip
GENERIC = {"lmtp", "tcp", "service", "grpc", "exec"}
HEALTH = {"health": "http://127.0.0.1:1/", "name": "evs1"}


def with_trait(trait: str) -> set[str]:
    """Name the types that have a trait."""
    return {name for name, row in TYPES.items() if getattr(row.traits, trait)}


def resource(type: str, **parameters: object) -> Resource:
    """Make a resource of a type."""
    return Resource(group="g", name="r", type=type, parameters=parameters)


def test_every_type_is_there() -> None:
    """S13: the reference's types and the generic ones, and no module failed."""
    assert set(TYPES) == REFERENCE | GENERIC
    assert len(TYPES) == 17
    assert TYPES.failures == ()
    assert all(row.traits.type == name for name, row in TYPES.items())


def test_search_is_in_a_module_of_its_own() -> None:
    """S14: the module of search holds search alone, and the others do without it."""
    tables = {entry.name: set(entry.load()) for entry in OURS}
    assert tables == {"reference": REFERENCE - {"search"}, "generic": GENERIC, "search": {"search"}}


def test_our_modules_are_declared_as_entry_points() -> None:
    """S1: what the package declares when it is installed is what runs from the sources."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"][ENTRY_POINTS] == {entry.name: entry.value for entry in OURS}


def test_the_odd_rules_in_one_table() -> None:
    """S24, S28, S36, S41, S53, S56, S69: who has which odd rule."""
    assert with_trait("online_waits_forever") == {"information-store"}
    assert with_trait("kill_when_offline_hangs") == {"information-store", "system-attendant", "mta"}
    assert with_trait("dismounts_on_terminate") == {"information-store", "system-attendant", "mta"}
    assert with_trait("stops_the_whole_service") == {"smtp"}
    assert with_trait("one_per_cluster") == {"mta"}
    assert with_trait("recreated_with") == {"search"}
    assert TYPES["search"].traits.recreated_with == "information-store"


def test_who_looks_where_nothing_is_asked() -> None:
    """S13: each type is asked over the network, looked at, or as alive as its controller says; never two of these."""
    observers = {name: row.observer for name, row in TYPES.items() if row.observer is not None}
    assert observers == {"ip-address": "address", "network-name": "name", "physical-disk": "disk", "exec": "argv"}
    assert {name for name, row in TYPES.items() if row.virtual_server is not None} == set(PROTOCOLS)
    assert all(TYPES[protocol].virtual_server == protocol for protocol in PROTOCOLS)


@pytest.mark.parametrize("type", ["system-attendant", "mta", "routing", "service"])
def test_health_is_what_the_controller_tells(type: str) -> None:
    """S20, S28, S39: system-attendant, mta and routing are as alive as the service manager says."""
    assert not TYPES[type].checked(resource(type))
    assert TYPES[type].asks(resource(type)) is None


@pytest.mark.parametrize(
    "type", sorted({*PROTOCOLS, "ip-address", "network-name", "physical-disk", "exec", "grpc", "search"})
)
def test_health_is_asked_for(type: str) -> None:
    """S23, S29, S40: protocols, what is looked at, gRPC and search are checked whatever they are configured with."""
    assert TYPES[type].checked(resource(type))


def test_a_store_is_asked_where_it_says_that_it_can_be() -> None:
    """S23: an information-store with a health address is asked, one without is as alive as its controller says."""
    store = TYPES["information-store"]
    assert not store.checked(resource("information-store", name="evs1"))
    assert store.asks(resource("information-store", name="evs1")) is None
    assert store.checked(resource("information-store", **HEALTH))


MODULE = """
from probe.lifecycle.spec import Traits
from probe.resources.contract import ResourceType

TYPES = {"%s": ResourceType(Traits("%s"))}
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which modules are imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def table(*values: str) -> TypeTable:
    """Make a table of the modules of these entry points, named one, two, ..."""
    names = ("one", "two", "three", "four")
    return TypeTable(lambda: [EntryPoint(*pair, ENTRY_POINTS) for pair in zip(names, values, strict=False)])


@pytest.mark.parametrize(
    ("text", "attribute", "why"),
    [
        ("import no_such_module", "TYPES", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "TYPES", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(1)", "TYPES", "SystemExit: 1"),
        ("TYPES = (", "TYPES", "SyntaxError: "),
        ("TYPES = ['x']", "TYPES", "TypeError: it is no table of types but a list"),
        ("TYPES = {'x': 1}", "TYPES", "TypeError: 'x' is not the name of a ResourceType"),
        (MODULE % ("other", "name"), "TYPES", "TypeError: 'other' is not the name of a ResourceType"),
        (MODULE % ("mine", "mine"), "TPYES", "AttributeError: "),
        (MODULE % ("smtp", "smtp"), "TYPES", 'ValueError: the type "smtp" is there already'),
    ],
)
def test_a_broken_module_disables_itself_only(path: Path, text: str, attribute: str, why: str) -> None:
    """S1, S14: whatever is wrong with a module, its own types are missing, with the reason, and nobody else's."""
    name = f"broken_{abs(hash((text, attribute)))}"
    (path / f"{name}.py").write_text(text)
    (path / f"{name}_good.py").write_text(MODULE % ("good", "good"))
    found = table("probe.resources.reference:TYPES", f"{name}:{attribute}", f"{name}_good:TYPES")
    assert set(found) == (REFERENCE - {"search"}) | {"good"}
    [failure] = found.failures
    assert str(failure).startswith(f'the resource types of the module "two" ({name}:{attribute}) are not there: {why}')


def test_what_a_module_says_is_bounded() -> None:
    """An error's text is data: what cannot be printed is escaped."""
    found = table("no\x1b_such:TYPES")
    assert all(str(failure.why).isprintable() for failure in found.failures)


def test_nothing_is_loaded_before_it_is_looked_at() -> None:
    """A command that needs no type does not pay for them."""
    asked: list[int] = []

    def entries() -> tuple[EntryPoint, ...]:
        asked.append(1)
        return OURS

    found = TypeTable(entries)
    assert not asked
    assert isinstance(found["search"], ResourceType)
    assert len(found) == 17
    assert asked == [1]


SHOW = "from probe.resources.types import TYPES; print(*sorted(TYPES)); print(*TYPES.failures, sep='\\n')"


def shown(*path: Path, before: str = "") -> list[str]:
    """Say what a fresh interpreter with these folders on its path finds."""
    environment = {"PYTHONPATH": ":".join(map(str, (ROOT, *path))), "PATH": "/usr/bin:/bin"}
    argv = [sys.executable, "-c", before + SHOW]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_module_arrives_by_its_package(tmp_path: Path) -> None:
    """S1: installing a package that declares an entry point is all that it takes; a broken one is named."""
    (tmp_path / "theirs.py").write_text(MODULE % ("queue", "queue"))
    metadata = tmp_path / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        f"[{ENTRY_POINTS}]\nqueue = theirs:TYPES\nlost = theirs_lost:TYPES\nsearch = probe.resources.search:TYPES\n"
    )
    types, *failures = shown(tmp_path)
    assert set(types.split()) == REFERENCE | GENERIC | {"queue"}
    [failure] = failures
    assert failure.startswith('the resource types of the module "lost" (theirs_lost:TYPES) are not there: ')


def test_without_search_everything_else_is_there() -> None:
    """S14: search that does not load takes nothing with it, and a store that has one is told why."""
    before = "import sys; sys.modules['probe.resources.search'] = None\n"
    types, failure = shown(before=before)
    assert set(types.split()) == (REFERENCE | GENERIC) - {"search"}
    assert failure.startswith('the resource types of the module "search" (probe.resources.search:TYPES) are not there')
