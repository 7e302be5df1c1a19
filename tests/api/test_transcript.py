"""`/api/v1/resources/{group}/{resource}/transcript`."""

from __future__ import annotations

import json

from bindings.addresses import read_binding
from bindings.model import Secret, VirtualServer
from probe.checks import check_for
from probe.monitor.mask import mask_of
from probe.monitor.recording import Moment, Moments
from probe.monitor.target import Result, Target
from probe.monitor.transcript import Transcript, transcript_of
from probe.values import Reason, ResourceId, Stage, Verdict
from tests.api.conftest import Opener
from tests.api.service import StaticService, failed, report

SECRET = "t0p-secret"
WEB = ResourceId("evs1", "http")
BINDING = read_binding("127.0.0.1:80:www.example.org", False)
SERVER = VirtualServer(
    key="/http/1", protocol="http", bindings=(BINDING,), headers=(("X-Key", Secret("/key")), ("Accept", "*/*"))
)
SAID: Moments = (
    Moment("event", 0.0001, b"connected"),
    Moment("sent", 0.0002, b"GET / HTTP/1.1\r\nX-Key: ***\r\n\r\n"),
    Moment("received", 0.25, b"HTTP/1.1 500 " + SECRET[:4].encode()),
    Moment("received", 0.3, SECRET[4:].encode() + b"\x1b[31m<script>\r\n", 70_000),
    Moment("event", 0.3, b"verdict"),
)


def told() -> Transcript:
    """A dialogue of a request with a secret that the server repeats, in two pieces."""
    check = check_for(SERVER, BINDING, {"X-Key": SECRET})
    mask = mask_of(SERVER.headers, {"X-Key": SECRET})
    target = Target(BINDING.text, "http", check, 5.0, text="127.0.0.1:80", server=SERVER, mask=mask)
    verdict = Verdict(Reason.HTTP_STATUS, f"HTTP/1.1 500 {SECRET}", Stage.RESPONSE)
    return transcript_of(Result(target, verdict, 1.0, 1.3, ((Stage.CONNECT, 0.0001),), moments=SAID), 1.7e9, 4)


async def test_a_dialogue_is_told_bounded_escaped_and_masked(opened: Opener) -> None:
    """The exact fields; hostile bytes are printable, what was cut is counted, the secret is nowhere."""
    service = StaticService(failed("http"))
    service.told[WEB] = (told(),)
    status, headers, body = await (await opened(service)).get("/api/v1/resources/evs1/http/transcript")
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "application/json", "no-store")
    assert SECRET.encode() not in body
    assert SECRET[:4].encode() not in body
    answer = json.loads(body)
    (only,) = answer.pop("transcripts")
    assert answer == {"id": "evs1/http"}
    assert only == {
        "time": 1.7e9,
        "times": 4,
        "protocol": "http",
        "binding": "127.0.0.1:80:www.example.org",
        "secure": False,
        "address": "127.0.0.1:80",
        "source": None,
        "asked": {"headers": {"Accept": "*/*", "X-Key": "***"}},
        "verdict": "failed",
        "reason": "http_status",
        "stage": "response",
        "evidence": "HTTP/1.1 500 **********",
        "stages": {"connect_s": 0.0001},
        "masked": True,
        "transcript": [
            {"direction": "event", "at_s": 0.0001, "text": "connected", "cut_bytes": 0},
            {
                "direction": "sent",
                "at_s": 0.0002,
                "text": "GET / HTTP/1.1\\x0d\\x0aX-Key: ***\\x0d\\x0a\\x0d\\x0a",
                "cut_bytes": 0,
            },
            {"direction": "received", "at_s": 0.25, "text": "HTTP/1.1 500 ****", "cut_bytes": 0},
            {
                "direction": "received",
                "at_s": 0.3,
                "text": "******\\x1b[31m<script>\\x0d\\x0a",
                "cut_bytes": 70000,
            },
            {"direction": "event", "at_s": 0.3, "text": "verdict", "cut_bytes": 0},
        ],
    }


async def test_a_resource_that_never_failed_has_none(opened: Opener) -> None:
    """An empty list for a resource that is there, 404 for one that is not."""
    api = await opened(StaticService(report("smtp")))
    status, _, body = await api.get("/api/v1/resources/evs1/smtp/transcript")
    assert (status, json.loads(body)) == (200, {"id": "evs1/smtp", "transcripts": []})
    assert (await api.get("/api/v1/resources/evs1/nobody/transcript"))[0] == 404


async def test_reading_it_needs_what_other_reads_need(opened: Opener) -> None:
    """Only GET and HEAD, and a Host that is ours: what a server says is not told to a page of somebody else's."""
    api = await opened()
    assert (await api.ask("POST", "/api/v1/resources/evs1/smtp/transcript"))[0] in (401, 403, 404, 405)
    assert (await api.get("/api/v1/resources/evs1/smtp/transcript", Host="evil.example"))[0] == 421
