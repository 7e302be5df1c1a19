"""The page: the table in Markdown, ours beside the others' as measured."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tests.house import ROOT
from tests.truth.others.checker import Checker, Said
from tests.truth.rows import PEERS_TIMEOUT_S, TIMEOUT_S, Row
from tests.truth.sections import CHOICES, ROWS, SECTIONS

PAGE = ROOT / "deploy" / "TRUTH.md"
COMMAND = "python -m tests.truth --write"
WRONG = "✗"
UNASKED = "-"

Measured = Mapping[str, Mapping[str, Said | None]]  # by the row's name, then by the checker's


def page_of(measured: Measured, checkers: Sequence[Checker], versions: Mapping[str, str]) -> str:
    """Write the whole page."""
    return "\n".join((*_head(checkers, versions), *_sums(measured, checkers), *_sections(measured, checkers))) + "\n"


def verdict_cell(row: Row) -> str:
    """Write the right answer: ours, which the tests hold us to."""
    stage = f", {row.stage}" if row.stage else ""
    choice = " (our choice)" if row.name in CHOICES else ""
    return f"{row.outcome} `{row.reason}`{stage}{choice}"


def said_cell(row: Row, said: Said | None) -> str:
    """Write what another checker said."""
    if said is None:
        return UNASKED
    if said.hung:
        return f"**no end** {WRONG}"
    if _is_wrong(row, said):
        return f"**{said.outcome}** {WRONG}"
    return f"{said.outcome}, late" if said.is_late(row) else str(said.outcome)


def _is_wrong(row: Row, said: Said) -> bool:
    return said.hung or (said.is_wrong(row) and row.name not in CHOICES)


def rows_on(page: str) -> dict[str, str]:
    """Read a page back: the verdict cell of every row, by the row's name."""
    return dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| [^|]+ \| ([^|]+) \|", page, re.MULTILINE))


def _head(checkers: Sequence[Checker], versions: Mapping[str, str]) -> Iterator[str]:
    told = ", ".join(f"{checker.name} {versions[checker.name]}" for checker in checkers)
    yield f"""\
# Misbehaving servers, and what each must be called

{len(ROWS)} servers, each a script behind a real socket, and the verdict that each must get. Our own verdicts are held
by `tests/truth/test_table.py` on every run of the tests. The others' were measured, not looked up:
`{COMMAND}` asks each of them about the same server and writes this page.
Measured with {told} (Debian's packages).

How to read it:

- The question is in words of `metabase.json`; what it does not say is the default. Where another checker cannot be
  asked the same question, for want of a feature, there is `{UNASKED}`.
- {WRONG} marks a wrong answer: the dead taken for alive, the living for dead, the prober's own fault for the
  server's, or no answer at all in ten times its time-out (*no end*). *late*: the failure is true, but the checker sat
  out its time-out over something that was said at once.
- Everybody gets a time-out much longer than any healthy server of the table needs: we {TIMEOUT_S} s, the others
  {PEERS_TIMEOUT_S} s, since most of them count in whole seconds.
- Everybody is configured as its documentation says. blackbox_exporter: the http prober and the tcp prober, with
  `^220`, `^\\+OK` and `^\\* (OK|PREAUTH)`, each up to the end of the word, and its documentation's STARTTLS modules
  (the one for IMAP wants STARTTLS listed in the greeting).
  HAProxy: `option smtpchk EHLO`, `option httpchk` with `http-check expect`, `tcp-check expect` with the same patterns,
  `rise 1 fall 1`. monitoring-plugins: check_smtp, check_ssmtp, check_pop, check_imap, check_tcp, check_http; WARNING
  and CRITICAL are failed. monit: `protocol smtp`, `lmtp`, `pop`, `imap`, `http`, and `verify: enable`.
- *Our choice* marks rows whose answer is a bound of ours, or a choice that the standards leave (a server that greets
  and then hangs up is alive, since S31 asks for the greeting): nobody is called wrong there for deciding otherwise.
- One run is shown. Some answers change from run to run: monit, after what is no status line, judges a status that was
  never set, and HAProxy's smtpchk depends on how an answer falls into segments."""


def _sums(measured: Measured, checkers: Sequence[Checker]) -> Iterator[str]:
    yield "\n| | asked | right | late | unsure, or chose otherwise | wrong |\n|---|---|---|---|---|---|"
    yield f"| looksalive | {len(ROWS)} | {len(ROWS)} | 0 | 0 | 0 |"
    for checker in checkers:
        answers = [(ROWS[name], one) for name, said in measured.items() if (one := said[checker.name]) is not None]
        kinds = Counter(_kind(row, one) for row, one in answers)
        cells = [kinds[kind] for kind in ("right", "late", "otherwise", "wrong")]
        yield f"| {checker.name} | {len(answers)} | " + " | ".join(map(str, cells)) + " |"


def _kind(row: Row, said: Said) -> str:
    if _is_wrong(row, said):
        return "wrong"
    if said.outcome is not row.outcome:
        return "otherwise"
    return "late" if said.is_late(row) else "right"


def _sections(measured: Measured, checkers: Sequence[Checker]) -> Iterator[str]:
    columns = ["name", "what the server does", "question", "right answer: looksalive", *(one.name for one in checkers)]
    for title, rows in SECTIONS.items():
        yield f"\n## {title}\n"
        yield "| " + " | ".join(columns) + " |"
        yield "|---" * len(columns) + "|"
        for row in rows:
            said = [said_cell(row, measured.get(row.name, {}).get(one.name)) for one in checkers]
            cells = [f"`{row.name}`", _escaped(row.does), _escaped(row.question), verdict_cell(row), *said]
            yield "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
