"""All rows of the table, in the order of the page."""

from __future__ import annotations

from tests.truth.rows import Row
from tests.truth.table import http, http_bodies, imap, network, ourselves, pop3, smtp, starttls, tls

SECTIONS: dict[str, tuple[Row, ...]] = {
    "Connections": network.ROWS,
    "SMTP and LMTP greetings": smtp.ROWS,
    "SMTP with STARTTLS": starttls.ROWS,
    "POP3": pop3.ROWS,
    "IMAP": imap.ROWS,
    "HTTP": http.ROWS,
    "HTTP bodies": http_bodies.ROWS,
    "TLS": tls.ROWS,
    "Faults of the prober itself": ourselves.ROWS,
}
ROWS: dict[str, Row] = {row.name: row for rows in SECTIONS.values() for row in rows}
assert len(ROWS) == sum(map(len, SECTIONS.values())), "two rows have one name"

# Where our verdict is a bound of ours, or a choice that the standards leave: who decides otherwise is not called wrong.
CHOICES = frozenset(
    {
        "net: proxy unknown",
        "smtp: blank line first",
        "smtp: NUL bytes",
        "smtp: LF only",
        "smtp: 16 KiB line",
        "smtp: line above 16 KiB",
        "smtp: 64 lines",
        "smtp: 65 lines",
        "smtp: greeting, then reset",
        "smtp: greeting, then end, polite",
        "smtp: greeting, then end",
        "smtp: greeting, then close",
        "smtp: silence after QUIT",
        "smtp: EHLO refused",
        "starttls: EHLO, 65 lines",
        "pop3: +ok",
        "pop3: silence after QUIT",
        "imap: LOGOUT unanswered",
        "http: http/1.1",
        "http: reason and space missing",
        "http: LF only",
        "http: header without colon",
        "http: NUL in a header",
        "http: 101",
        "http: 64 KiB of headers",
        "http: endless body",
        "http: body never comes",
        "http: two lengths",
        "body: above the limit",
        "body: found, then silence",
        "body: gzip",
    }
)
