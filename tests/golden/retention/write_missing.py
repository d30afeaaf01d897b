"""Writes the golden files that are missing: ``python -m tests.golden.retention.write_missing``. Then read them."""

from __future__ import annotations

from pathlib import Path

from tests.golden.retention.scenarios import SCENARIOS, table


def main() -> None:
    """Existing files stay as they are."""
    for name, scenario in SCENARIOS.items():
        path = Path(__file__).with_name(f"{name}.txt")
        if not path.exists():
            path.write_text(table(scenario()), encoding="utf-8")


if __name__ == "__main__":
    main()
