"""A healthy SMTP server for many clients at once, in a process of its own: `python greeter.py PORT CERTIFICATE KEY`.

It takes DELAY_S for every answer, so that at any moment there are dialogues under way, some of them half through
STARTTLS: those can go on after a stall of the client's only when the client gives itself the time back.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

DELAY_S = 0.02
BACKLOG = 4096
ANSWERS = {
    b"EHLO": b"250-mail.example.org\r\n250 STARTTLS\r\n",
    b"STARTTLS": b"220 go ahead\r\n",
    b"QUIT": b"221 bye\r\n",
}


class Greeter(asyncio.Protocol):
    """One connection: a line at a time, as much of SMTP as a probe needs."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._transport: asyncio.Transport | None = None
        self._upgrade: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, but not a second time when TLS has come over the connection."""
        greeted = self._transport is not None
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not greeted:
            self._later(b"", b"220 mail.example.org ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer one command."""
        verb = data.split()[0].upper()
        self._later(verb, ANSWERS.get(verb, b"500 what?\r\n"))

    def _later(self, verb: bytes, answer: bytes) -> None:
        asyncio.get_running_loop().call_later(DELAY_S, self._answer, verb, answer)

    def _answer(self, verb: bytes, answer: bytes) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        if verb == b"QUIT":
            self._transport.close()
        elif verb == b"STARTTLS":
            self._upgrade = asyncio.get_running_loop().create_task(self._secure(self._transport))

    async def _secure(self, transport: asyncio.Transport) -> None:
        try:
            secured = await asyncio.get_running_loop().start_tls(transport, self, self._context, server_side=True)
        except OSError:
            return  # the client went away
        assert isinstance(secured, asyncio.Transport)
        self._transport = secured


async def serve(port: int, certificate_file: str, key_file: str) -> None:
    """Serve until killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Greeter(context), "127.0.0.1", port, backlog=BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:]))
