"""Servers that are right in everything but what a row changes: a client of any kind finds its way through them.

Each is a script: a greeting, then an answer to every command. A row changes the greeting or single answers.
"""

from __future__ import annotations

from tests.truth.acts import Act, Script, Talk, eof

SMTP_GREETING = b"220 mail.example.org ESMTP ready\r\n"
EHLO = b"250-mail.example.org\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
EHLO_TLS = b"250-mail.example.org\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
EHLO_OVER_TLS = b"250-mail.example.org\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n"
POP3_GREETING = b"+OK POP3 ready\r\n"
CAPA = b"+OK here\r\nTOP\r\nUIDL\r\n.\r\n"
CAPA_TLS = b"+OK here\r\nTOP\r\nSTLS\r\nUIDL\r\n.\r\n"
IMAP_GREETING = b"* OK IMAP4rev1 ready\r\n"
CAPABILITY_TLS = b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n"
CAPABILITY = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"


def _script(answer: bytes | Script) -> Script:
    return (answer,) if isinstance(answer, bytes) else answer


def answering(answers: dict[bytes, bytes | Script], otherwise: bytes) -> Act:
    """Answer every command line by its verb, the same each time."""

    def act(talk: Talk) -> None:
        while True:
            verb = talk.line().split(b" ", 1)[0].upper()
            talk.play(_script(answers.get(verb, otherwise)))

    return act


def smtp(greeting: bytes | Script = SMTP_GREETING, **answers: bytes | Script) -> Script:
    """Speak SMTP and LMTP; answers by verb, e.g. `EHLO=b"250 ok\\r\\n"`."""
    told: dict[bytes, bytes | Script] = {
        b"EHLO": EHLO,
        b"LHLO": EHLO,
        b"HELO": b"250 mail.example.org\r\n",
        b"QUIT": (b"221 2.0.0 bye\r\n", eof),
        b"NOOP": b"250 ok\r\n",
        **{verb.encode(): answer for verb, answer in answers.items()},
    }
    return (*_script(greeting), answering(told, b"502 5.5.2 not known here\r\n"))


def pop3(greeting: bytes | Script = POP3_GREETING, **answers: bytes | Script) -> Script:
    """Speak POP3."""
    told: dict[bytes, bytes | Script] = {
        b"CAPA": CAPA,
        b"QUIT": (b"+OK bye\r\n", eof),
        b"NOOP": b"+OK\r\n",
        **{verb.encode(): answer for verb, answer in answers.items()},
    }
    return (*_script(greeting), answering(told, b"-ERR not known here\r\n"))


def imap(greeting: bytes | Script = IMAP_GREETING, **answers: bytes | Script) -> Script:
    """Speak IMAP. In an answer `TAG` stands for the client's tag; one without it is followed by a tagged OK."""
    told: dict[bytes, bytes | Script] = {
        b"CAPABILITY": CAPABILITY,
        b"LOGOUT": (b"* BYE see you\r\nTAG OK bye\r\n", eof),
        b"NOOP": b"TAG OK\r\n",
        **{verb.encode(): answer for verb, answer in answers.items()},
    }

    def act(talk: Talk) -> None:
        while True:
            tag, _, command = talk.line().partition(b" ")
            script = _script(told.get(command.split(b" ", 1)[0].upper(), b"TAG BAD not known here\r\n"))
            told_all = b"".join(one for one in script if isinstance(one, bytes))
            talk.play(tuple(one.replace(b"TAG", tag) if isinstance(one, bytes) else one for one in script))
            if b"TAG" not in told_all and all(isinstance(one, bytes) for one in script):
                talk.play((tag + b" OK done\r\n",))

    return (*_script(greeting), act)


def http(answer: bytes | Script) -> Script:
    """Read one request to the end of its headers, answer, and end the stream."""

    def request(talk: Talk) -> None:
        while talk.line():
            pass

    return (request, *_script(answer), eof)


def response(body: bytes = b"all is well", status: bytes = b"200 OK", *fields: bytes) -> bytes:
    """Make an ordinary response."""
    head = [b"HTTP/1.1 " + status, b"Content-Type: text/plain", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(head) + b"\r\nConnection: close\r\n\r\n" + body
