"""Which service a controller's parameters name: equal texts are one service, which resources share (S36)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from probe.controllers.container import container_parameters
from probe.controllers.contract import ParametersError
from probe.controllers.exec import exec_parameters
from probe.controllers.metabase import metabase_parameters
from probe.controllers.ocf import ocf_parameters
from probe.controllers.parameters import process_parameters
from probe.controllers.supervisord import supervisord_parameters
from probe.controllers.systemd import systemd_parameters
from probe.controllers.upgrade import without_upgrade

Raw = Mapping[str, object]


def identity_of(kind: str, parameters: Raw) -> str:
    """Name the service; "" for one that cannot be shared: not acted on, or not named."""
    try:
        if kind == "metabase":
            service = metabase_parameters(parameters).service or {}
            nested = {name: value for name, value in service.items() if name != "kind"}
            return identity_of(str(service.get("kind")), nested)
        words = _WORDS[kind](without_upgrade(parameters)) if kind in _WORDS else None
    except ParametersError:
        return ""
    return "" if words is None else f"{kind} {msgspec.json.encode(words, order='sorted').decode()}"


def _process(raw: Raw) -> list[object]:
    read = process_parameters(raw)
    return [read.command, read.environment or {}, read.directory or ""]


def _systemd(raw: Raw) -> list[object]:
    read = systemd_parameters(raw)
    return [read.bus or ("user" if read.user else "system"), read.unit]


def _container(raw: Raw) -> list[object]:
    read = container_parameters(raw)
    return [read.socket or "", read.container]


def _exec(raw: Raw) -> list[object]:
    read = exec_parameters(raw)
    return [read.start, read.stop]


def _ocf(raw: Raw) -> list[object]:
    read = ocf_parameters(raw)
    return [read.agent.provider, read.agent.type, dict(read.parameters)]


def _supervisord(raw: Raw) -> list[object]:
    read = supervisord_parameters(raw)
    return [read.place.socket or read.place.url, read.program]


_WORDS: Mapping[str, Callable[[Raw], list[object]]] = {
    "process": _process,
    "systemd": _systemd,
    "container": _container,
    "exec": _exec,
    "ocf": _ocf,
    "supervisord": _supervisord,
}
