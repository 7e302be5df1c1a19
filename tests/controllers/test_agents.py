"""Agents' meta-data: what is read of it, what is refused, how often they are asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.controllers.agents import AgentName, Agents, Description, parse_meta_data

NAMES = st.text("abcdefghijklmnop_-", min_size=1, max_size=12)


def meta_data(parameters: Mapping[str, bool]) -> bytes:
    """Write the meta-data of an agent with these parameters, each needed or not."""
    rows = "".join(
        f'<parameter name={quoteattr(name)} required="{int(needed)}"><content type="string"/></parameter>'
        for name, needed in parameters.items()
    )
    head = '<?xml version="1.0"?>\n<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">\n'
    return f'{head}<resource-agent name="X"><parameters>{rows}</parameters></resource-agent>'.encode()


@given(st.dictionaries(NAMES, st.booleans(), max_size=20))
def test_names_and_needs_are_read(parameters: dict[str, bool]) -> None:
    """Whatever parameters an agent has, exactly those are read, and which of them it needs."""
    needed = tuple(name for name, need in parameters.items() if need)
    assert parse_meta_data(meta_data(parameters)) == Description(tuple(parameters), needed)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_what_is_no_meta_data_is_refused(text: bytes) -> None:
    """Any other bytes are a ValueError and nothing else."""
    with pytest.raises(ValueError, match="it "):
        parse_meta_data(text)


@given(st.data())
def test_cut_off_meta_data_is_refused(data: st.DataObject) -> None:
    """Half of it is none of it."""
    whole = meta_data({"state": True, "fake": False})
    with pytest.raises(ValueError, match="it is no XML"):
        parse_meta_data(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_an_entity_is_refused() -> None:
    """A text that grows when it is read is not read."""
    bomb = b'<!DOCTYPE resource-agent [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><resource-agent>&b;</resource-agent>'
    with pytest.raises(ValueError, match="declares an entity"):
        parse_meta_data(bomb)


def test_another_document_is_refused() -> None:
    """XML that is no agent's is said to be what it is."""
    with pytest.raises(ValueError, match="<html>"):
        parse_meta_data(b'<html><parameter name="x"/></html>')


@given(st.text(max_size=40))
def test_no_name_leads_out_of_the_folder(text: str) -> None:
    """Whatever is asked for as ocf:heartbeat:TEXT is refused or lies in the provider's folder."""
    try:
        path = AgentName.parse(f"ocf:heartbeat:{text}").path("/root")
    except ValueError:
        return
    assert os.path.normpath(path) == path
    assert path.startswith("/root/resource.d/heartbeat/")


def test_an_agent_is_asked_once_for_every_version_of_its_file(tmp_path: Path) -> None:
    """A reload of the store does not run every agent again; a new version of an agent is asked anew."""
    agent = tmp_path / "resource.d" / "x" / "Y"
    agent.parent.mkdir(parents=True)
    agent.write_text("1")
    asked: list[str] = []

    def describe(path: str, variables: Mapping[str, str]) -> bytes:
        asked.append(path)
        if len(asked) == 1:
            raise OSError("not now")
        return meta_data({"state": True})

    agents = Agents(str(tmp_path), describe=describe)
    name = AgentName("x", "Y")
    assert agents.meta_data(name) is None
    assert agents.meta_data(name) == agents.meta_data(name) == Description(("state",), ("state",))
    assert len(asked) == 2
    agent.write_text("22")
    agents.meta_data(name)
    assert len(asked) == 3
    assert agents.meta_data(AgentName("x", "Z")) is None
    assert (agents.providers, agents.names("x"), agents.names("z")) == (["x"], ["Y"], [])
