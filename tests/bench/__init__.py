"""Benchmarks, run by hand: `python -m tests.bench probes`. They print figures and ratios; they are no tests."""
