"""The dialogues with the table's servers, over real sockets: written down, and judged again from the file."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from bindings.metabase import read_metabase
from bindings.mistakes import Mistakes
from probe.environment import Network
from probe.environment.network import RealNetwork
from probe.monitor.once import probe_once
from probe.monitor.recording import SIDE_BYTES_MAX, Happening
from probe.monitor.replay import replay
from probe.monitor.target import Result
from probe.monitor.transcript import Transcript, transcript_of
from probe.values import Outcome, Verdict
from tests.monitor.rig import real_environment, with_network
from tests.truth.ask import Standing, standing, virtual_server
from tests.truth.kit import Kit
from tests.truth.rows import Row
from tests.truth.sections import ROWS

HERE = {name: row for name, row in ROWS.items() if row.ground == "here"}


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    with tempfile.TemporaryDirectory() as folder:
        yield Kit(Path(folder))


async def _ask(stood: Standing, *, explains: bool) -> list[Result]:
    environment = with_network(real_environment(), cast("Network", RealNetwork()))
    return await probe_once(environment, virtual_server(stood), explains=explains)


def judged_again(transcript: Transcript) -> Verdict:
    """Replay as `looksalive check --replay` does: from the file's text alone, by the store's parser."""
    told = msgspec.json.decode(msgspec.json.encode(transcript), type=Transcript)
    key = f"/{told.protocol}/replay"
    properties = {**told.asked, "secure_bindings" if told.secure else "bindings": [told.binding]}
    mistakes = Mistakes("")
    document = {"schema_version": 1, "keys": {key: properties}}
    metabase = read_metabase(json.dumps(document).encode(), mistakes)
    assert metabase is not None
    assert not mistakes.summary(), mistakes.summary()
    server = metabase.servers[key]
    return replay(told, server, server.bindings[0])


@pytest.mark.parametrize("row", HERE.values(), ids=HERE)
def test_the_replay_gives_the_verdict_of_then(row: Row, kit: Kit) -> None:
    """Every dialogue is kept whole, its moments in order, and its replay gives the same verdict, evidence and all."""
    with standing(row, kit) as stood:
        results = asyncio.run(_ask(stood, explains=True))
    for result in results:
        moments = result.moments
        assert [moment.at_s for moment in moments] == sorted(moment.at_s for moment in moments)
        assert [moment.data for moment in moments].count(Happening.VERDICT.encode()) == 1
        assert not any(moment.cut for moment in moments)
        assert judged_again(transcript_of(result, 0.0)) == result.verdict


ONE_OF_EACH = {(row.protocol, row.reason, row.stage): row for row in HERE.values() if not row.waits}.values()


@pytest.mark.parametrize("row", ONE_OF_EACH, ids=[row.name for row in ONE_OF_EACH])
def test_what_the_service_keeps_is_enough_or_says_that_it_is_not(row: Row, kit: Kit) -> None:
    """Nothing of what goes well; of a failure the first 4 KiB of each side, with the same verdict unless it was cut."""
    with standing(row, kit) as stood:
        results = asyncio.run(_ask(stood, explains=False))
    for result in results:
        cut = any(moment.cut for moment in result.moments)
        sizes = [
            sum(len(moment.data) for moment in result.moments if moment.direction == side)
            for side in ("sent", "received")
        ]
        assert max(sizes) <= SIDE_BYTES_MAX
        if result.verdict.outcome is Outcome.ALIVE:
            assert result.moments == ()
            continue
        now = judged_again(transcript_of(result, 0.0))
        assert now == result.verdict or (cut and now.outcome is Outcome.UNKNOWN)
