"""Reading a controller's parameters: the same table and words as for a type's (`probe/resources/reading.py`)."""

from __future__ import annotations

from probe.resources.reading import COMMAND_WORDS_MAX, Parameter, Reading, did_you_mean

__all__ = ["COMMAND_WORDS_MAX", "Parameter", "Reading", "did_you_mean"]
