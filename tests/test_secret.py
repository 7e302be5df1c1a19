"""A secret that cannot be printed by mistake."""

from __future__ import annotations

import copy
import copyreg
import json
import logging
from dataclasses import asdict, dataclass

import msgspec
import pytest

from probe.secret import MASK, Secret

TEXT = "correct horse battery staple"


@dataclass
class Holder:
    """Something that has a secret among its fields."""

    name: str
    password: Secret[str]


def test_every_way_to_write_it_gives_the_mask(caplog: pytest.LogCaptureFixture) -> None:
    """repr, str, format, % and a log record, also of what holds it, show the mask and never the text."""
    secret = Secret(TEXT)
    holder = Holder("us", secret)
    with caplog.at_level(logging.INFO):
        logging.getLogger("x").info("%s %r %s", secret, holder, [secret], extra={"fields": {"password": secret}})
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>20}", f"{secret!r}", "%s" % secret, repr(holder)]  # noqa: UP031 # one of the ways
    shown += [str(asdict(holder)), repr(copy.deepcopy(holder)), json.dumps(holder.__dict__, default=str), caplog.text]
    assert all(MASK in text and TEXT not in text for text in shown)


def test_what_writes_objects_is_refused() -> None:
    """JSON, msgspec and the protocol behind copies to disk raise: nothing takes a secret along."""
    for write in (json.dumps, msgspec.json.encode, msgspec.to_builtins):
        with pytest.raises(TypeError):
            write({"password": Secret(TEXT)})
    with pytest.raises(TypeError, match="not written"):
        Secret(TEXT).__reduce_ex__(2)
    assert Secret not in copyreg.dispatch_table


def test_it_is_compared_with_secrets_alone() -> None:
    """Two secrets of one text are equal; a text is not; it is no key of a table; an empty one is false."""
    assert Secret(TEXT) == Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT
    assert Secret(TEXT).reveal() == TEXT
    assert not Secret("")
    with pytest.raises(TypeError):
        hash(Secret(TEXT))
