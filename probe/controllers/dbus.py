"""D-Bus as the systemd controller sees it: calls, signals, the end of the connection; and the real one, on dbus-fast.

dbus-fast is an optional dependency (`pip install looksalive[systemd]`), imported when a connection is first made.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from probe.controllers.link import LinkError

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

LIBRARY = "dbus_fast"
CALL_WITHIN_S = 5.0  # every call we make is answered at once by a bus that lives

DAEMON = "org.freedesktop.DBus"
DAEMON_PATH = "/org/freedesktop/DBus"

Body = Sequence[Any]


class BusError(Exception):
    """The answer to a call was an error: its D-Bus name, and what the other side said."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message or name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Call:
    """A method call."""

    destination: str
    path: str
    interface: str
    member: str
    signature: str = ""
    body: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal; its body is plain values, variants taken out of their wrapping."""

    sender: str
    path: str
    interface: str
    member: str
    body: Body


class Bus(Protocol):
    """An open connection to a bus."""

    async def call(self, call: Call) -> Body:
        """Call and return the answer's values. Raises BusError; LinkError when no answer came."""

    def post(self, call: Call) -> None:
        """Send a call without waiting for its answer."""

    async def lost(self) -> None:
        """Return when the connection has ended."""

    def close(self) -> None:
        """End the connection. Idempotent."""


Connect = Callable[[str, Callable[[Signal], None]], Awaitable[Bus]]


def is_library_there(name: str = LIBRARY) -> bool:
    """Whether the optional dependency is installed."""
    return importlib.util.find_spec(name) is not None


def system_address() -> str:
    """Return the address of the system's bus."""
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or "unix:path=/run/dbus/system_bus_socket"


def user_address() -> str:
    """Return the address of our user's bus."""
    folder = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return os.environ.get("DBUS_SESSION_BUS_ADDRESS") or f"unix:path={folder}/bus"


async def connect(address: str, on_signal: Callable[[Signal], None]) -> Bus:
    """Connect to a real bus. Raises OSError or LinkError."""
    from dbus_fast.aio import MessageBus  # noqa: PLC0415 - optional
    from dbus_fast.errors import AuthError, InvalidAddressError  # noqa: PLC0415 - optional

    try:
        bus = MessageBus(bus_address=address)
        await bus.connect()
    except (AuthError, InvalidAddressError, EOFError) as error:
        raise LinkError(f"cannot talk to the bus at {address}: {error}") from error
    return _FastBus(bus, address, on_signal)


class _FastBus:
    """A connection made by dbus-fast."""

    def __init__(self, bus: MessageBus, address: str, on_signal: Callable[[Signal], None]) -> None:
        from dbus_fast import MessageType, unpack_variants  # noqa: PLC0415 - optional

        self._bus = bus
        self._address = address
        self._on_signal = on_signal
        self._types = MessageType
        self._plain = unpack_variants
        bus.add_message_handler(self._receive)

    async def call(self, call: Call) -> Body:
        self._must_be_open(call)
        try:
            async with asyncio.timeout(CALL_WITHIN_S):
                reply = await self._bus.call(self._message(call))
        except TimeoutError as error:
            text = f"{call.member}: no answer from {self._address} within {CALL_WITHIN_S:g} s"
            raise LinkError(text) from error
        except (OSError, EOFError) as error:
            raise self._gone(call) from error
        if reply is None:
            raise self._gone(call)
        body: Body = self._plain(reply.body)
        if reply.message_type is self._types.ERROR:
            raise BusError(reply.error_name or "", str(body[0]) if body else "")
        return body

    def post(self, call: Call) -> None:
        from dbus_fast import MessageFlag  # noqa: PLC0415 - optional

        if self._bus.connected:
            message = self._message(call)
            message.flags = MessageFlag.NO_REPLY_EXPECTED
            self._bus.send(message).add_done_callback(_take_error)

    async def lost(self) -> None:
        with suppress(Exception):  # why it ended does not matter: whoever waits makes another
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call] # the library leaves it untyped

    def close(self) -> None:
        self._bus.disconnect()

    def _must_be_open(self, call: Call) -> None:
        if not self._bus.connected:  # the library would use the number of a descriptor that is another's by now
            raise self._gone(call)

    def _gone(self, call: Call) -> LinkError:
        return LinkError(f"{call.member}: the connection to {self._address} was lost")

    def _message(self, call: Call) -> Message:
        from dbus_fast import Message  # noqa: PLC0415 - optional

        return Message(
            destination=call.destination,
            path=call.path,
            interface=call.interface,
            member=call.member,
            signature=call.signature,
            body=list(call.body),
        )

    def _receive(self, message: Message) -> None:
        if message.message_type is self._types.SIGNAL:
            body = self._plain(message.body)
            sender, path = message.sender or "", message.path or ""
            self._on_signal(Signal(sender, path, message.interface or "", message.member or "", body))


def _take_error(sent: asyncio.Future[Any]) -> None:
    """Look at a lost message's error, which is nobody's: the connection's end is told by `lost`."""
    if not sent.cancelled():
        sent.exception()
