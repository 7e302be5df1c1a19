"""XML-RPC, as text in and out: what a supervisord speaks. Pure; answers are bounded, and defused before being parsed.

The standard library's reader is used behind three bars, since its own documentation calls it open to malicious XML: an
answer is at most `ANSWER_BYTES_MAX` long, is UTF-8 whatever it declares, and holds no declaration (`<!`), so neither a
DTD nor an entity; a comment or a CDATA section, which no XML-RPC library writes, is refused with them.
"""

from __future__ import annotations

import xmlrpc.client

ANSWER_BYTES_MAX = 1 << 20  # some 500 programs of a supervisord
NESTING_MAX = 16  # lists and structs within each other

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]


class FaultError(Exception):
    """The other side understood, and refused: its code and its text, which is untrusted."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} (fault {code})")
        self.code = code
        self.text = text


class AnswerError(ValueError):
    """What came is no XML-RPC answer, or one that we don't read."""


def write_call(method: str, *arguments: str | bool) -> bytes:
    """Write a call of `method`."""
    return xmlrpc.client.dumps(arguments, method, encoding="utf-8").encode("utf-8", "xmlcharrefreplace")


def read_answer(body: bytes) -> Value:
    """Read the one value of an answer. Raises FaultError when it is a refusal, AnswerError when it is nothing."""
    if len(body) > ANSWER_BYTES_MAX:
        raise AnswerError(f"it has {len(body)} bytes, more than {ANSWER_BYTES_MAX}")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AnswerError("it is no UTF-8") from error
    if "\0" in text:  # UTF-16 in disguise: the parser would find that out, and read what the next line cannot see
        raise AnswerError("it holds NUL characters")
    if "<!" in text:
        raise AnswerError("it declares something (a DTD, an entity), which an answer has no need of")
    try:
        # A text, not bytes: so the parser reads it as UTF-8, whatever the document says of itself.
        values, method = xmlrpc.client.loads(text, use_builtin_types=True)
    except xmlrpc.client.Fault as fault:
        raise _fault(fault) from None
    except Exception as error:  # the reader raises whatever its parts do
        raise AnswerError(f"it is no XML-RPC: {type(error).__name__}") from error
    if method is not None or len(values) != 1:
        raise AnswerError("it is no answer with one value")
    return _plain(values[0])


def _fault(fault: xmlrpc.client.Fault) -> Exception:
    code: object = fault.faultCode  # neither is checked by the reader
    text: object = fault.faultString
    if isinstance(code, int) and isinstance(text, str):
        return FaultError(code, text)
    return AnswerError("its fault has no code and text")


def _plain(value: object, depth: int = 0) -> Value:
    """Check that a value is of the kinds that we speak. Raises AnswerError."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth >= NESTING_MAX:
        raise AnswerError(f"it is nested more than {NESTING_MAX} deep")
    if isinstance(value, list):
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each, depth + 1) for name, each in value.items()}
    raise AnswerError(f"it holds a {type(value).__name__}")
