"""What a log line looks like, and what it never lets through."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest

from probe.cli.logs import FIELDS_MAX, MESSAGE_CHARS_MAX, configure
from probe.values import Reason, ResourceId

NASTY = 'a\x1b[31m\r\n2026 forged\x00\x7f\x9b\u2028\u202e"'
Written = Callable[[str], io.StringIO]


@pytest.fixture
def written() -> Iterator[Written]:
    """Set the logs up on a stream of one's own; the test run's own set-up comes back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def start(log_format: str) -> io.StringIO:
        stream = io.StringIO()
        configure(log_format, "info", stream)
        return stream

    yield start
    root.handlers[:] = handlers
    root.setLevel(level)


log = logging.getLogger("probe.test")


def test_json_is_one_object_a_line_with_the_fields_beside_the_sentence(written: Written) -> None:
    """A line has time (RFC 3339, UTC, milliseconds), level, logger, message and the record's own fields."""
    stream = written("json")
    fields = {"id": ResourceId("evs1", "smtp"), "from": "online", "reason": Reason.BANNER_TIMEOUT, "seen": (1, 2.5)}
    log.warning("evs1/smtp failed", extra={"fields": fields})
    line = json.loads(stream.getvalue())
    time = line.pop("time")
    assert len(time) == len("2026-01-01T00:00:00.000Z")
    assert (time[10], time[19], time[-1]) == ("T", ".", "Z")
    assert line == {
        "level": "warning",
        "logger": "probe.test",
        "message": "evs1/smtp failed",
        "id": "evs1/smtp",
        "from": "online",
        "reason": "banner_timeout",
        "seen": [1, 2.5],
    }


def test_text_is_a_sentence_with_name_and_value(written: Written) -> None:
    """The readable format: the sentence, then name=value, quoted where blanks are."""
    stream = written("text")
    log.info("it came back", extra={"fields": {"id": "g/a", "evidence": "220 mx", "tries": 2}})
    assert stream.getvalue().endswith('Z info    it came back id=g/a evidence="220 mx" tries=2\n')


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_nothing_from_outside_can_forge_a_line(log_format: str, written: Written) -> None:
    """Control characters and reordering marks in message, field name and value are escaped, in both formats."""
    stream = written(log_format)
    log.warning("saw %s", NASTY, extra={"fields": {"evidence": NASTY, NASTY: 1}})
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text[:-1].isprintable()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_traceback_is_kept_and_escaped(log_format: str, written: Written) -> None:
    """An exception's traceback is in the log; what its text smuggles in is not."""
    stream = written(log_format)
    try:
        raise ValueError(NASTY)  # noqa: TRY301 - what is logged has to be raised
    except ValueError:
        log.exception("our own fault")
    text = stream.getvalue()
    assert "ValueError" in text
    assert "Traceback" in text
    assert all(line.isprintable() for line in text.split("\n"))
    assert not any(line.startswith("2026 forged") for line in text.split("\n"))


def test_fields_never_replace_the_four_of_every_line(written: Written) -> None:
    """A field named like one of the line's own is left out."""
    stream = written("json")
    log.error("true", extra={"fields": {"message": "false", "level": "debug"}})
    line = json.loads(stream.getvalue())
    assert (line["message"], line["level"]) == ("true", "error")


def test_a_line_is_bounded(written: Written) -> None:
    """Endless messages, values and sets of fields are cut."""
    stream = written("json")
    many = {f"f{index}": "y" * 100_000 for index in range(FIELDS_MAX + 10)}
    log.info("x" * 1_000_000, extra={"fields": many})
    line = json.loads(stream.getvalue())
    assert len(line["message"]) == MESSAGE_CHARS_MAX
    assert len(line) == 4 + FIELDS_MAX
    assert len(line["f0"]) == MESSAGE_CHARS_MAX


def test_json_stays_json_with_numbers_that_json_lacks(written: Written) -> None:
    """NaN and infinity are told by name."""
    stream = written("json")
    log.info("odd", extra={"fields": {"a": float("nan"), "b": float("inf"), "c": None, "d": True}})
    line = json.loads(stream.getvalue(), parse_constant=pytest.fail)
    assert [line[name] for name in "abcd"] == ["nan", "inf", None, True]


def test_the_level_is_obeyed(written: Written) -> None:
    """What is below the level is not written."""
    stream = written("text")
    log.debug("whisper")
    assert stream.getvalue() == ""
