"""Real guests for the demo and the tests: Debian installs, their broken siblings, and programs of one boot sector."""
