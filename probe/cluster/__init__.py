"""Who owns a group, and what was wanted of it last. Embedded: one node, every group is ours."""

from probe.cluster.desired import DesiredState
from probe.cluster.maintained import Kept, MaintenanceFile

__all__ = ["DesiredState", "Kept", "MaintenanceFile"]
