"""Pack stores: a local folder, and its in-memory sibling."""
