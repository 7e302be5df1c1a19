"""What every check is: bytes in, bytes out, and in the end a verdict. Sans-IO: no socket, no clock, no TLS library.

Rules of a conversation:
1. The driver (the monitor's engine, a test, the simulator) calls `opened` once, then `received` for each piece of
   plaintext that arrives, `ended` at the peer's end of stream. What `opened`, `received` and `secured` return is sent.
2. `verdict` is set once and never changes; the driver publishes it at once, even though a polite end may follow.
3. `finished` says there is nothing more to send or to wait for: the driver closes. A conversation with a verdict that
   is not finished is saying goodbye (stage `quit`); the driver gives that a small budget of its own.
4. `wants_tls` becomes true when the peer agreed to STARTTLS; the driver wraps the connection and calls `secured`.
   Bytes that came in the same piece behind the agreement are an injection (CVE-2011-0411): the conversation judges so.
5. Any chunking of the same bytes gives the same verdict.
6. `stage` names what is being waited for; the driver times the stages by watching it change, and asks `expired` for the
   verdict when the deadline passes.

What is missing when the deadline passes, and how it is called (the stage is in brackets):

| protocol         | missing                                    | reason                                   |
|------------------|--------------------------------------------|------------------------------------------|
| smtp lmtp        | the greeting's last line                   | `banner_timeout` (banner)                |
| pop3 imap tcp    | the greeting's line                        | `banner_timeout` (banner)                |
| smtp lmtp pop3   | an answer on the way to STARTTLS           | `step_timeout` (request)                 |
| and imap         | the handshake after the peer agreed        | `tls_timeout` (tls)                      |
|                  | the answer over TLS                        | `step_timeout` (response)                |
| http             | the response: no byte of it came           | `banner_timeout` (request)               |
|                  | the end of the final response's headers    | `banner_timeout` (response)              |
|                  | the body, where it decides                 | `step_timeout` (response)                |
| grpc             | the response: no byte of it came           | `banner_timeout` (request)               |
|                  | the end of the call                        | `banner_timeout` (response)              |

A response's headers are to http what the greeting is to the others (S29 to S32): what the verdict needs from the peer
first. Bytes that can never become a status line are `http_malformed`, not a time-out.
"""

from __future__ import annotations

from typing import Protocol

from probe.values import Stage, Verdict

LINE_BYTES_MAX = 16 * 1024
REPLY_BYTES_MAX = 64 * 1024
REPLY_LINES_MAX = 64
HTTP_HEAD_BYTES_MAX = 64 * 1024
HTTP_BODY_BYTES_MAX = 64 * 1024


class Conversation(Protocol):
    """One dialogue with one peer; made new for every probe."""

    stage: Stage
    verdict: Verdict | None
    finished: bool
    wants_tls: bool

    def opened(self) -> bytes:
        """The connection stands (with TLS on connect: its handshake is done). Return what to send first."""

    def received(self, data: bytes) -> bytes:
        """Take the next piece of plaintext (never empty). Return what to send."""

    def secured(self) -> bytes:
        """The STARTTLS handshake is done. Return what to send."""

    def ended(self) -> None:
        """The peer's stream ended; without a verdict that is `eof` at the current stage."""

    def expired(self) -> Verdict:
        """Say which failure a passed deadline is at the current stage (`banner_timeout`, `step_timeout` ...)."""


class Check(Protocol):
    """The immutable recipe of a conversation, built once per virtual server and binding and shared by its probes."""

    @property
    def speaks_first(self) -> bool:
        """Whether `opened` returns bytes to send before the peer has said anything (http)."""

    @property
    def glances(self) -> bool:
        """Whether `glance` can ever settle the matter."""

    def begin(self) -> Conversation:
        """Make the conversation of one probe."""

    def glance(self, data: bytes) -> Verdict | None:
        """Judge the first bytes without a conversation, or None when one is needed.

        The steady round's short cut: only where the whole dialogue is that one piece (`polite` off, no STARTTLS) and
        the verdict is the one the conversation would reach (a property test holds it to that).
        """
