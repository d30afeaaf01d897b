"""The verifier that an auditor runs: one file that imports nothing of this project."""
