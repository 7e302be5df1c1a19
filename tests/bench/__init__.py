"""Benchmarks, run by hand: `python -m tests.bench --help`. They print figures and ratios; they are no tests."""
