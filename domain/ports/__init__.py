"""What the domain asks of the world. Each port has one contract suite in tests/contracts."""
