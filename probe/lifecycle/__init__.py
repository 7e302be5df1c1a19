"""The core: what is, what happened, what follows. Pure: no clock, no I/O, no logging."""
