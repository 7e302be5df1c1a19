"""The fixture of the two laboratories."""

from __future__ import annotations

import pytest

from tests.sim.lab import RunLab, run_real, run_simulated


@pytest.fixture(params=["real", "simulated"])
def run_lab(request: pytest.FixtureRequest) -> RunLab:
    """Run a body in the kernel under us, and in the one in memory."""
    return run_real if request.param == "real" else run_simulated
