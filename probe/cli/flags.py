"""A flag of `run`, each also a `LOOKSALIVE_…` variable, and the readers of their texts.

A reader turns a text into a value, or raises ArgumentTypeError saying what to write.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

WORKERS_MAX = 256
_TRUE = ("1", "true", "yes", "on")
_BYTE_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_AGE_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_FALSE = ("0", "false", "no", "off")


class Flag(NamedTuple):
    """One flag of `run`; `parse` turns its text into its value or raises ArgumentTypeError saying what to write."""

    name: str  # "--log-format"
    metavar: str
    parse: Callable[[str], Any]
    help: str
    kind: Literal["value", "switch", "repeat"] = "value"

    @property
    def variable(self) -> str:
        """The environment variable of the flag: `--log-format` is LOOKSALIVE_LOG_FORMAT."""
        return f"LOOKSALIVE_{self.dest.upper()}"

    @property
    def dest(self) -> str:
        """Name the flag's value in the parsed arguments."""
        return self.name.removeprefix("--").replace("-", "_")


def parse_workers(text: str) -> int:
    """Read how many processes there are to be; `auto` is one for each core that we may use."""
    if text.strip().lower() == "auto":
        return min(len(os.sched_getaffinity(0)), WORKERS_MAX)
    try:
        workers = int(text)
    except ValueError:
        workers = 0
    if not 1 <= workers <= WORKERS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {WORKERS_MAX}, and not auto")
    return workers


def parse_path(text: str) -> Path:
    """Read a path; `~` is the home folder. Raises ArgumentTypeError, as all of these do."""
    return Path(parse_text(text)).expanduser()


def parse_text(text: str) -> str:
    """Read text that is not empty."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("is empty" if not text else "holds a NUL character")
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """Make the reader of one of some words."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(words)}")
        return text.lower()

    return parse


def parse_switch(text: str) -> bool:
    """Read a yes or a no."""
    if text.lower() not in _TRUE + _FALSE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a yes or no; write 1 or 0")
    return text.lower() in _TRUE


def parse_count(text: str) -> int:
    """Read a whole number above zero."""
    if not (text.isascii() and text.isdigit() and int(text[:10]) > 0 and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 999999999")
    return int(text)


def parse_seconds(text: str) -> int:
    """Read a whole number of seconds."""
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds from 0 to 999999")
    return int(text)


def parse_bytes(text: str) -> int:
    """Read a size, as in 64M."""
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].upper() in _BYTE_UNITS else (text, "")
    if not (number.isascii() and number.isdigit() and 0 < len(number) <= 15 and int(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 64M or 2G")
    return int(number) * _BYTE_UNITS[unit]


def parse_age(text: str) -> float:
    """Read an age in seconds, as in 30d."""
    number, unit = (text[:-1], text[-1].lower()) if text[-1:].lower() in _AGE_UNITS_S else (text, "s")
    if not (number.isascii() and number.isdigit() and 0 < len(number) <= 9 and int(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is not an age; write 30d, 12h or 90m")
    return int(number) * _AGE_UNITS_S[unit]


def parse_listen(text: str) -> tuple[str, int]:
    """Read `ADDRESS:PORT`, IPv6 in brackets, port 0 for any free one. Raises ArgumentTypeError with the mend."""
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        raise argparse.ArgumentTypeError(f"{text!r} has no port; write {text}:9810")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise argparse.ArgumentTypeError(f"{text!r}: put the IPv6 address in brackets, [{host}]:{port}")
    if not host or any(char in host for char in "[]/ \0"):
        raise argparse.ArgumentTypeError(
            f"{text!r} names no address; write 127.0.0.1:{port or 9810}, or 0.0.0.0:{port or 9810} for every one"
        )
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise argparse.ArgumentTypeError(f"port {port!r} is not a number from 0 to 65535")
    return host, int(port)


def parse_host(text: str) -> str:
    """Read a name as a Host header has it, without a port."""
    if not text or not all(char.isalnum() or char in ".-_:[]" for char in text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a host name; write it as in the Host header, without a port")
    if text.count(":") == 1:
        raise argparse.ArgumentTypeError(f"{text!r} has a port; write {text.partition(':')[0]}")
    return text.strip("[]").lower()


def parse_web_address(text: str) -> str:
    """Read an http or https URL."""
    if not (text.isascii() and text.isprintable() and re.fullmatch(r"https?://[^/?#\s]\S*", text)):
        raise argparse.ArgumentTypeError("is no address; write it as https://HOST[:PORT]/PATH")  # it may hold a secret
    return text
