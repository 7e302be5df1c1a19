"""The resource types: what is odd about each, what it may be configured with, and a store checked against both."""

from probe.resources.checking import ControllerKind, check_store
from probe.resources.contract import ResourceType
from probe.resources.reading import Problem
from probe.resources.specs import spec_of
from probe.resources.types import TYPES

__all__ = ["TYPES", "ControllerKind", "Problem", "ResourceType", "check_store", "spec_of"]
