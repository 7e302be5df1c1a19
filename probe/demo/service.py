"""Small services for the demo: `python -m probe.demo.service smtp|pop3|imap|http|store --port N`.

Each speaks just enough of its protocol to be asked politely whether it is alive. Bounded lines, commands, connections
and idle time; SIGTERM ends it with status 0. Nothing of looksalive is imported: it must start fast.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine

LINE_BYTES_MAX = 1000
HEAD_LINES_MAX = 64
COMMANDS_MAX = 100
CONNECTIONS_MAX = 64
IDLE_S = 60.0
NAME = b"demo.looksalive.example"

Dialogue = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


class _Closed(Exception):
    """The client has gone, is too slow or says too much: the dialogue ends without another word."""


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Read one line without its end."""
    try:
        async with asyncio.timeout(IDLE_S):
            line = await reader.readuntil(b"\n")
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        raise _Closed from None
    return line.rstrip(b"\r\n")


async def _send(writer: asyncio.StreamWriter, *lines: bytes) -> None:
    writer.write(b"".join(line + b"\r\n" for line in lines))
    try:
        async with asyncio.timeout(IDLE_S):
            await writer.drain()
    except (TimeoutError, ConnectionError):
        raise _Closed from None


async def speak_smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet and answer EHLO, HELO, NOOP, RSET and QUIT (RFC 5321 section 4.1.1)."""
    answers = {
        b"EHLO": (b"250-" + NAME, b"250 8BITMIME"),
        b"HELO": (b"250 " + NAME,),
        b"NOOP": (b"250 2.0.0 OK",),
        b"RSET": (b"250 2.0.0 OK",),
        b"QUIT": (b"221 2.0.0 Bye",),
    }
    await _send(writer, b"220 " + NAME + b" ESMTP looksalive demo")
    for _ in range(COMMANDS_MAX):
        verb = (await _read_line(reader)).partition(b" ")[0].upper()
        await _send(writer, *answers.get(verb, (b"502 5.5.1 Command not implemented",)))
        if verb == b"QUIT":
            return


async def speak_pop3(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet and answer CAPA, NOOP and QUIT (RFC 1939, RFC 2449)."""
    answers = {
        b"CAPA": (b"+OK Capability list follows", b"IMPLEMENTATION looksalive-demo", b"."),
        b"NOOP": (b"+OK",),
        b"QUIT": (b"+OK Bye",),
    }
    await _send(writer, b"+OK " + NAME + b" POP3 looksalive demo")
    for _ in range(COMMANDS_MAX):
        verb = (await _read_line(reader)).partition(b" ")[0].upper()
        await _send(writer, *answers.get(verb, (b"-ERR Command not implemented",)))
        if verb == b"QUIT":
            return


async def speak_imap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet and answer CAPABILITY, NOOP and LOGOUT under their tags (RFC 9051 section 6.1)."""
    untagged = {
        b"CAPABILITY": (b"* CAPABILITY IMAP4rev1",),
        b"NOOP": (),
        b"LOGOUT": (b"* BYE " + NAME + b" logging out",),
    }
    await _send(writer, b"* OK [CAPABILITY IMAP4rev1] " + NAME + b" looksalive demo")
    for _ in range(COMMANDS_MAX):
        tag, _space, rest = (await _read_line(reader)).partition(b" ")
        verb = rest.partition(b" ")[0].upper()
        if not tag.isalnum():
            await _send(writer, b"* BAD A command begins with a tag")
        elif verb in untagged:
            await _send(writer, *untagged[verb], tag + b" OK " + verb + b" completed")
        else:
            await _send(writer, tag + b" BAD Command not implemented")
        if verb == b"LOGOUT":
            return


async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one GET or HEAD of `/` and close (RFC 9112)."""
    words = (await _read_line(reader)).split(b" ")
    for _ in range(HEAD_LINES_MAX):
        if not await _read_line(reader):
            break
    else:
        words = []
    allow: tuple[bytes, ...] = ()
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        status = b"400 Bad Request"
    elif words[0] not in (b"GET", b"HEAD"):
        status, allow = b"405 Method Not Allowed", (b"Allow: GET, HEAD",)
    else:
        status = b"200 OK" if words[1] == b"/" else b"404 Not Found"
    body = b"looksalive demo: " + status + b"\n"
    head = (b"HTTP/1.1 " + status, b"Content-Type: text/plain", b"Content-Length: %d" % len(body), *allow)
    await _send(writer, *head, b"Connection: close", b"")
    if words[:1] != [b"HEAD"]:
        writer.write(body)


DIALOGUES: dict[str, Dialogue] = {"smtp": speak_smtp, "pop3": speak_pop3, "imap": speak_imap, "http": speak_http}


class _Listener:
    """Serves one dialogue to at most `CONNECTIONS_MAX` clients at once."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold one dialogue and close."""
        if self._connections >= CONNECTIONS_MAX:
            writer.close()
            return
        self._connections += 1
        try:
            await self._dialogue(reader, writer)
        except _Closed:
            pass
        except asyncio.CancelledError:
            pass  # we are told to end: close, as with any other client
        finally:
            self._connections -= 1
            writer.close()


async def run(name: str, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; `store` only runs. Raises OSError when the port cannot be had."""
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_end.set)
    if name in DIALOGUES:
        server = await asyncio.start_server(_Listener(DIALOGUES[name]).serve, host, port, limit=LINE_BYTES_MAX)
        print(f"{name} on {host}:{port}", flush=True)  # noqa: T201 - a program's output
        await told_to_end.wait()
        server.close()
    else:
        print(f"{name} runs", flush=True)  # noqa: T201 - a program's output
        await told_to_end.wait()


def main() -> int:
    """Read the command line and serve; exit status 1 when the port cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m probe.demo.service", description=__doc__)
    parser.add_argument("name", choices=[*DIALOGUES, "store"])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    try:
        asyncio.run(run(arguments.name, arguments.host, arguments.port))
    except OSError as error:
        print(f"{arguments.name}: {error}", file=sys.stderr)  # noqa: T201 - a program's output
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
