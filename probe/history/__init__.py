"""What has happened: the recent edges in memory, for readers and followers."""

from probe.history.recent import Recent, RecentSubscription

__all__ = ["Recent", "RecentSubscription"]
