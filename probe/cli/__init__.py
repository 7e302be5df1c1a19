"""The command line: one module a command, imported only when that command was named."""

from __future__ import annotations

from probe.cli.arguments import main

__all__ = ["main"]
