"""Measurements: pytest-benchmark suites (``bench_*.py``), and the side-by-side with other tools (``peers.py``)."""
