"""The benchmarks' command line."""

from __future__ import annotations

import sys

from tests.bench.commands import main

sys.exit(main(sys.argv[1:]))
