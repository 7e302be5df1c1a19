"""What is counted and how it is told: numbers kept cheaply, text made only while somebody scrapes.

`table.py` names every metric once, `numbers.py` keeps the values, `exposition.py` writes the text in slices.
"""

from __future__ import annotations

from probe.metrics.exposition import chunks
from probe.metrics.numbers import Metrics, ResourceNumbers
from probe.metrics.table import METRICS, Metric

__all__ = ["METRICS", "Metric", "Metrics", "ResourceNumbers", "chunks"]
