"""What has happened: the recent edges in memory, for readers; every decision in a file, from which it is replayed."""

from probe.history.recent import Recent

__all__ = ["Recent"]
