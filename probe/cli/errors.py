"""What can go wrong between a command and the running service.

ServiceError
├── Unreachable   nobody answered, or not in time: the service is not up, or the URL is wrong
├── Untrusted     two ends of TLS that do not accept each other: a matter of the flags, which no waiting mends
├── Garbled       what answered is not looksalive, or answered too much
└── Refused       looksalive answered no: `status`, `code` and its own sentence, with the mend
"""

from __future__ import annotations


class ServiceError(Exception):
    """The service could not be asked, or said no; the text is a sentence for the operator."""


class Unreachable(ServiceError):
    """Nobody answered; `timed_out` tells a late answer from a refused connection."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class Untrusted(ServiceError):
    """Whoever answers is not trusted, or does not trust us."""


class Garbled(ServiceError):
    """What answered does not speak our API."""


class Refused(ServiceError):
    """The service answered with an error; `retry_after_s` where it says when to ask again."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: float | None = None) -> None:
        mend = _mend(status, code)
        super().__init__(f"{message}; {mend}" if mend else message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def passing(self) -> bool:
        """Whether the same question may be answered later: too many ask, or it is starting or ending."""
        return self.status in (429, 503)


def _mend(status: int, code: str) -> str:
    if status == 401:
        return "pass --token-file FILE with a file that holds the token (or set LOOKSALIVE_TOKEN_FILE)"
    if code == "role_too_low":
        return "pass --token-file with a token of that role"
    if status == 404:
        return "looksalive status lists what there is"
    if status == 421:
        return "start the service with --allowed-host HOST, or use its address in --url"
    return ""
