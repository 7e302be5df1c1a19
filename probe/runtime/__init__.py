"""The running service: one inbox, one loop, one TaskGroup, and what readers are told of it."""

from probe.runtime.inventory import Inventory
from probe.runtime.loop import Runtime
from probe.runtime.reader import Reader

__all__ = ["Inventory", "Reader", "Runtime"]
