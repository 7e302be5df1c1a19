"""Run the command line as `python -m probe.cli`."""

import sys

from probe.cli.arguments import main

sys.exit(main())
