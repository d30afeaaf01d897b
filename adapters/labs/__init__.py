"""Labs: isolated machines that boot recovered disks."""
