"""Looking into the file systems of a guest from outside, without running it."""
