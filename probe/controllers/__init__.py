"""Makes it so: starts, stops and ends services, one module a kind of controller."""

from __future__ import annotations

from probe.controllers.contract import Controller, ControllerError, OnExit, ParameterProblem, ServiceSpec
from probe.controllers.none import NoController
from probe.controllers.parameters import KINDS, parameter_problems
from probe.controllers.process import ProcessController
from probe.environment import Environment

__all__ = [
    "KINDS",
    "Controller",
    "ControllerError",
    "OnExit",
    "ParameterProblem",
    "ServiceSpec",
    "controllers_by_kind",
    "parameter_problems",
]


def controllers_by_kind(environment: Environment, state_dir: str, on_exit: OnExit) -> dict[str, Controller]:
    """Make one controller of each kind; `on_exit` is called on the loop when a service ended by itself."""
    return {"none": NoController(), "process": ProcessController(environment, state_dir, on_exit)}
