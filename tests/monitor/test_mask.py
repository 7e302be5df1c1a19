"""Secrets of requests, and their echoes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindings.model import Secret
from probe.monitor.mask import ECHO_BYTES_MIN, Mask, mask_of
from probe.values import EVIDENCE_CHARS_MAX, evidence_of

TOKEN = "Bearer s3cret-t0ken"
MASK = Mask(["Authorization", "X-Key"], [TOKEN, "k3y+"])


def test_the_values_of_secret_headers_are_three_asterisks() -> None:
    """Only the named headers are masked, in any case, to the end of their line; the rest is as it was sent."""
    sent = b"GET /authorization: HTTP/1.1\r\nAUTHORIZATION:\tBearer x\r\nX-Key: k\r\nX-Keys: open\r\n\r\n"
    shown = b"GET /authorization: HTTP/1.1\r\nAUTHORIZATION:\t***\r\nX-Key: ***\r\nX-Keys: open\r\n\r\n"
    assert MASK.sent(sent) == shown
    assert MASK.sent(b"GET / HTTP/1.1\r\nX-Key: k3") == b"GET / HTTP/1.1\r\nX-Key: ***"


@given(st.binary(max_size=30), st.binary(max_size=30), st.sampled_from([TOKEN, "s3cret-t0ken", "k3y+"]))
def test_an_echo_is_covered_without_moving_anything(before: bytes, after: bytes, secret: str) -> None:
    """Whatever stands around it, the value and the credentials in it are covered, byte for byte."""
    data = before + secret.encode() + after
    covered = MASK.received(data)
    assert secret.encode() not in covered
    assert len(covered) == len(data)


@pytest.mark.parametrize("size", range(1, len(TOKEN)))
def test_an_echo_that_was_cut_is_covered_too(size: int) -> None:
    """Of an echo at the end of what is kept, its beginning is covered; where nothing was cut it is no echo."""
    data = b"you said: " + TOKEN[:size].encode()
    assert MASK.received(data, cut=True) == b"you said: " + b"*" * size
    assert MASK.received(data) == data


@pytest.mark.parametrize("padding", range(EVIDENCE_CHARS_MAX - 40, EVIDENCE_CHARS_MAX + 1))
def test_evidence_shows_no_secret_wherever_it_was_cut(padding: int) -> None:
    """Evidence that quotes an echo shows none of it, whole or begun, and stays as long as it was."""
    evidence = evidence_of("x" * padding + TOKEN)
    shown = MASK.evidence(evidence)
    assert "s3c" not in shown
    assert "Bea" not in shown
    assert len(shown) == len(evidence)


def test_an_echo_with_a_backslash_is_found_in_evidence() -> None:
    """Evidence is escaped text: what the escape made of a secret is covered as well."""
    mask = Mask(["X"], ["pa\\ss\tword"])
    assert mask.evidence(evidence_of(b"got pa\\ss\tword!")) == "got " + "*" * len("pa\\x5css\\x09word") + "!"


def test_a_mask_tells_nothing() -> None:
    """Printing a mask prints no secret."""
    assert repr(MASK) == "<Mask>"


def test_which_headers_are_secret() -> None:
    """What comes from a file is, and credentials in any case; a request without any has no mask."""
    assert mask_of((("Accept", "text/html"),), {}) is None
    mask = mask_of((("authorization", "Basic QWxh"), ("X-Key", Secret("/k")), ("X", "open")), {"X-Key": "hidden"})
    assert mask is not None
    request = b"GET / HTTP/1.1\r\nauthorization: Basic QWxh\r\nX-Key: hidden\r\nX: open\r\n\r\n"
    assert mask.sent(request) == b"GET / HTTP/1.1\r\nauthorization: ***\r\nX-Key: ***\r\nX: open\r\n\r\n"
    assert mask.received(b"hidden QWxh open") == b"****** **** open"


def test_a_short_secret_is_masked_in_its_header_only() -> None:
    """A value below the bound would be found everywhere, so its echo is let stand."""
    mask = Mask(["X"], ["1" * (ECHO_BYTES_MIN - 1)])
    assert mask.sent(b"X: 111\r\n") == b"X: ***\r\n"
    assert mask.received(b"HTTP/1.1 111") == b"HTTP/1.1 111"
