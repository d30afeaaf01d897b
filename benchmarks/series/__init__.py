"""Series of virtual disks that age: each age as raw image and VHDX, with exact lists of what changed between ages."""
