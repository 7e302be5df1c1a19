"""Who owns a group, and what was wanted of it last. Embedded: one node, every group is ours."""

from probe.cluster.desired import DesiredState

__all__ = ["DesiredState"]
