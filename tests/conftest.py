"""What every test runs under."""

from __future__ import annotations

import signal

# Whoever starts us in the background of a shell has us ignore Ctrl-C, and every program that we start inherits that.
# With a handler of ours here they begin with the default again.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
