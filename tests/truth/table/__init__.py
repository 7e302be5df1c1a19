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
