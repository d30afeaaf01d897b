"""The event store in SQLite files: the log of events, and the projections that can always be rebuilt from it."""
