"""Frames and messages: whole in any pieces, bounded, and nothing is believed that is not ours."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from bindings.model import Binding, Secret, VirtualServer
from probe.lifecycle.events import Trigger
from probe.monitor.recording import Moment
from probe.monitor.tls import TlsFacts
from probe.values import Reason, Stage, Verdict
from probe.workers import wire

numbers = some.integers(0, 2**40)
seconds = some.floats(0, 1e9)
texts = some.text(max_size=50)
levels = some.none() | some.booleans()
verdicts = some.builds(Verdict, some.sampled_from(Reason), texts, some.none() | some.sampled_from(Stage))
stages = some.lists(some.tuples(some.sampled_from(Stage), seconds), max_size=7).map(tuple)
bindings = some.builds(
    Binding, texts, texts, some.integers(0, 65535), some.none() | texts, some.none(), some.booleans()
)
servers = some.builds(
    VirtualServer,
    key=texts,
    protocol=some.sampled_from(["smtp", "http", "tcp"]),
    bindings=some.lists(bindings, min_size=1, max_size=3).map(tuple),
    headers=some.lists(some.tuples(texts, texts | some.builds(Secret, texts)), max_size=3).map(tuple),
    expect=some.none() | some.lists(texts, max_size=2).map(tuple),
)
plans = some.builds(
    wire.PlanText, servers, some.none() | texts, numbers, seconds, seconds, some.integers(1, 9), some.integers(1, 9)
)
facts = some.builds(TlsFacts, texts, texts, some.lists(seconds, max_size=3).map(tuple), some.booleans())
moments = some.builds(
    Moment, some.sampled_from(["sent", "received", "event"]), seconds, some.binary(max_size=99), numbers
)
answers = some.builds(
    wire.Answer,
    texts,
    some.booleans(),
    verdicts,
    seconds,
    seconds,
    stages,
    some.integers(0, 50),
    texts,
    some.none() | facts,
    some.lists(moments, max_size=3).map(tuple),
)
counts = some.builds(
    wire.Counts,
    numbers,
    seconds,
    numbers,
    seconds,
    seconds,
    some.lists(some.tuples(some.sampled_from(Stage), some.sampled_from(Reason), numbers), max_size=3).map(tuple),
    some.lists(some.tuples(some.sampled_from(Reason), numbers), max_size=3).map(tuple),
    some.lists(some.tuples(texts, some.lists(seconds, max_size=2).map(tuple), some.booleans()), max_size=2).map(tuple),
)
told = some.builds(wire.Told, numbers, numbers, levels, numbers, some.lists(answers, max_size=3).map(tuple), counts)
heights = some.builds(
    wire.Heights, texts, some.none() | some.sampled_from(Stage), some.lists(numbers, max_size=9).map(tuple), seconds
)
commands: some.SearchStrategy[wire.Command] = (
    some.builds(wire.Confirm, texts)
    | some.builds(wire.Begin, numbers, texts, texts, numbers, levels, some.booleans(), numbers, plans)
    | some.builds(wire.Replan, numbers, plans)
    | some.builds(wire.GoOn, numbers, levels, some.booleans(), numbers)
    | some.builds(
        wire.Ask, numbers, some.sampled_from(Trigger), some.none() | seconds, some.booleans(), some.booleans()
    )
    | some.builds(wire.End, numbers)
)
news: some.SearchStrategy[wire.News] = (
    some.builds(wire.Report, some.lists(told, max_size=3).map(tuple))
    | some.builds(wire.Beat, texts, some.lists(heights, max_size=3).map(tuple))
    | some.builds(
        wire.Edge,
        numbers,
        some.booleans(),
        verdicts,
        some.sampled_from(Trigger),
        some.none() | seconds,
    )
    | some.builds(wire.Suspicion, numbers)
)


def read(data: bytes, read_body: Any, cuts: list[int] | None = None) -> list[Any]:
    """Read every message of a stream that comes in pieces, cut where `cuts` says."""
    frames = wire.Frames()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts or []), len(data)]
    return [read_body(body) for begin, end in pairwise(places) for body in frames.split(data[begin:end])]


@given(some.lists(commands, max_size=4), some.lists(some.integers(0, 4000), max_size=20))
def test_commands_arrive_as_they_were_sent(sent: list[wire.Command], cuts: list[int]) -> None:
    """Whatever the main process says is read the same, in any segmentation."""
    assert read(b"".join(map(wire.frame, sent)), wire.read_command, cuts) == sent


@given(some.lists(news, max_size=4), some.lists(some.integers(0, 4000), max_size=20))
def test_news_arrive_as_they_were_sent(sent: list[wire.News], cuts: list[int]) -> None:
    """Whatever a worker says is read the same, with its enums and named tuples, in any segmentation."""
    received = read(b"".join(map(wire.frame, sent)), wire.read_news, cuts)
    assert received == sent
    for message in received:
        if isinstance(message, wire.Edge):
            assert message.verdict.reason in Reason
            assert message.verdict.outcome


@given(some.binary(max_size=200))
def test_garbage_is_garbage(data: bytes) -> None:
    """Bytes that nobody of ours sent are Garbage or wait for the rest; nothing else is ever raised."""
    for read_body in (wire.read_command, wire.read_news):
        try:
            read(data, read_body)
        except wire.Garbage:
            continue


@given(news, some.integers(4, 100), some.integers(0, 255))
def test_a_spoilt_message_is_garbage_or_a_message(sent: wire.News, at: int, byte: int) -> None:
    """One changed byte makes garbage or another message of the right types."""
    frame = bytearray(wire.frame(sent))
    frame[min(at, len(frame) - 1)] = byte
    try:
        (received,) = read(bytes(frame), wire.read_news)
    except wire.Garbage:
        return
    assert msgspec.msgpack.decode(wire.frame(received)[4:], type=wire.News) == received or "nan" in repr(received)


def test_a_length_beyond_the_bound_is_refused_before_it_is_read() -> None:
    """Four bytes that promise too much are Garbage at once: nothing is collected for them."""
    with pytest.raises(wire.Garbage, match="a frame of"):
        list(wire.Frames().split((wire.FRAME_BYTES_MAX + 1).to_bytes(4, "big")))
    assert list(wire.Frames().split(wire.FRAME_BYTES_MAX.to_bytes(4, "big"))) == []


def test_a_message_beyond_the_bound_is_not_sent() -> None:
    """What no frame can hold is refused where it is made, with its size."""
    with pytest.raises(wire.Oversize, match="Confirm of 4194"):
        wire.frame(wire.Confirm("x" * wire.FRAME_BYTES_MAX))


def test_one_direction_does_not_understand_the_other() -> None:
    """A command is no news, and an unknown reason is garbage."""
    with pytest.raises(wire.Garbage):
        wire.read_news(wire.frame(wire.End(1))[4:])
    edge = wire.frame(wire.Edge(1, False, Verdict(Reason.EOF), Trigger.PROBE, None))[4:]
    with pytest.raises(wire.Garbage):
        wire.read_news(edge.replace(b"\xa3eof", b"\xa3foe"))
