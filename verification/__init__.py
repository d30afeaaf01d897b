"""The proof that a restore point comes back: watch it boot, read its console, judge, and report."""
