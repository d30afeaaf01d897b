"""Everything that touches the world, and the composition root that ties it to the domain."""
