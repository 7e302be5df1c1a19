"""What the demo says."""

from __future__ import annotations

from probe.demo.text import demo_text

PORTS = {"smtp": 2525, "pop3": 2110}


def test_what_to_try_is_ready_to_be_pasted() -> None:
    """The URL, a question to ask and commands with the real pids are in the text."""
    text = demo_text("http://127.0.0.1:9810/", PORTS, {"smtp": 12, "pop3": 34, "store": 56})
    for words in (
        " http://127.0.0.1:9810/\n",
        "curl -s http://127.0.0.1:9810/isalive/evs1/smtp\n",
        "127.0.0.1:2525  pid 12\n",
        "kill -9 12\n",
        "kill -STOP 34\n",
        "kill -9 56\n",
    ):
        assert words in text


def test_without_pids_processes_are_found_by_their_command() -> None:
    """Before anything has started the commands name the services, and no number is invented."""
    text = demo_text("http://127.0.0.1:9810", PORTS)
    assert "pkill -9 -f 'probe.demo.service smtp'\n" in text
    assert "pkill -9 -f 'probe.demo.service store'\n" in text
    assert " pid " not in text
