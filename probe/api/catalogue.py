"""What can be made: every resource type and controller with its parameters, for whoever asks for them (S10)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from aiohttp import web

from probe.api.replies import json_reply
from probe.controllers import PARAMETERS
from probe.resources.defaults import MEMBER_OF_TYPE, Member
from probe.resources.permits import RUNS_PROGRAMS
from probe.resources.reading import Parameter
from probe.resources.types import TYPES


class Asked(msgspec.Struct, frozen=True):
    """One parameter; `default` is JSON, empty when there is none."""

    name: str
    value: str
    about: str
    default: str
    required: bool


class Kind(msgspec.Struct, frozen=True):
    """A resource type: its parameters, the protocol of its virtual server, and what it usually is in a group."""

    name: str
    parameters: tuple[Asked, ...]
    protocol: str | None
    binding: str
    needs: tuple[str, ...]  # types on which it depends by default


class ControllerKind(msgspec.Struct, frozen=True):
    """A kind of controller; `local` ones run programs and are only for the command line on the store itself."""

    name: str
    parameters: tuple[Asked, ...]
    local: bool


class Catalogue(msgspec.Struct, frozen=True):
    """What a resource can be."""

    types: tuple[Kind, ...]
    controllers: tuple[ControllerKind, ...]


async def types(request: web.Request) -> web.StreamResponse:
    """Answer with every type and every kind of controller."""
    del request
    usual = Member("", "")
    return json_reply(
        Catalogue(
            tuple(
                Kind(
                    name,
                    _asked(row.parameters),
                    row.virtual_server,
                    MEMBER_OF_TYPE.get(name, usual).binding,
                    MEMBER_OF_TYPE.get(name, usual).providers,
                )
                for name, row in TYPES.items()
            ),
            tuple(ControllerKind(name, _asked(rows), name in RUNS_PROGRAMS) for name, rows in PARAMETERS.items()),
        )
    )


def _asked(parameters: Iterable[Parameter]) -> tuple[Asked, ...]:
    return tuple(Asked(*parameter) for parameter in parameters)
