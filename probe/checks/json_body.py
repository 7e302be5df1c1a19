"""An HTTP answer whose body is JSON, and what it must say of the subject (S23, S40). Pure.

| judgement | alive                                                             | else            |
|-----------|-------------------------------------------------------------------|-----------------|
| active    | the subject is in the list `active`, or in the list that it is    | `not_serving`   |
| handle    | the member `handle`, or a body that is no object, is not null     | `index_invalid` |

The whole body is awaited, at most 64 KiB of it (`body_limit`); what is no JSON, or none of this shape, is
`http_malformed`. The status is judged first, as ever.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bindings.model import Binding, VirtualServer
from probe.checks.body import Body
from probe.checks.conversation import Conversation
from probe.checks.http import HttpCheck, HttpConversation
from probe.checks.lines import PEEK_BYTES_MAX
from probe.values import Reason, Stage, Verdict, evidence_of

ACTIVE, HANDLE = "active", "handle"
NAMES_SHOWN_MAX = 8


class JsonCheck(HttpCheck):
    """Check an http virtual server whose answer is JSON about its `subject`, at one binding."""

    __slots__ = ("_shared", "judgement", "subject")

    def __init__(self, server: VirtualServer, binding: Binding, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(server, binding, headers)
        self.reads_body = True
        self.pattern = None
        self.judgement = server.body_json
        self.subject = server.subject
        self._shared = Verdict(Reason.NOT_YET)

    def begin(self) -> Conversation:
        """Make the conversation of one probe."""
        return JsonConversation(self)

    def judge_body(self, text: bytes) -> Verdict:
        """Judge a whole body; an equal verdict is the object given last time."""
        verdict = self._judged_body(text)
        if verdict != self._shared:
            self._shared = verdict
        return self._shared

    def _judged_body(self, text: bytes) -> Verdict:
        try:
            document: object = msgspec.json.decode(text)
        except (ValueError, RecursionError):
            return _verdict(Reason.HTTP_MALFORMED, b"the body is no JSON: " + text[:PEEK_BYTES_MAX])
        return self._judged_handle(document) if self.judgement == HANDLE else self._judged_list(document)

    def _judged_list(self, document: object) -> Verdict:
        active = document.get(ACTIVE) if isinstance(document, dict) else document
        if not isinstance(active, list):
            return _verdict(Reason.HTTP_MALFORMED, f'the body is no list and has no list "{ACTIVE}"')
        if self.subject in active:
            return _verdict(Reason.MATCHED, f"{self.subject} is active")
        names = ", ".join(str(name) for name in active[:NAMES_SHOWN_MAX] if isinstance(name, str))
        more = ", ..." if len(active) > NAMES_SHOWN_MAX else ""
        return _verdict(Reason.NOT_SERVING, f"{self.subject} is none of the {len(active)} active: {names}{more}")

    def _judged_handle(self, document: object) -> Verdict:
        handle = document.get(HANDLE) if isinstance(document, dict) else document
        if handle is None:
            return _verdict(Reason.INDEX_INVALID, f"no handle of the index {self.subject}")
        return _verdict(Reason.MATCHED, f"the index {self.subject} has a handle")


class JsonConversation(HttpConversation):
    """One request, and its response to the end of the body."""

    __slots__ = ("_json",)

    def __init__(self, check: JsonCheck) -> None:
        super().__init__(check)
        self._json = check

    def _search(self, body: Body, fault: Verdict | None) -> None:
        """Judge the body once it is whole; JSON has no verdict before its end."""
        if body.complete:
            self._conclude(self._json.judge_body(bytes(body.text)))
        elif body.truncated:
            self._conclude(_verdict(Reason.BODY_LIMIT, f"the body is longer than {len(body.text)} bytes"))
        elif fault is not None:
            self._conclude(fault)


def _verdict(reason: Reason, evidence: str | bytes) -> Verdict:
    return Verdict(reason, evidence_of(evidence), Stage.RESPONSE)
