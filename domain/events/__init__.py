"""Everything that can happen, as events; each has a registered name with a version that outlives the class."""
