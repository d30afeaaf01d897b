"""Writing new disk images: VHDX, raw and qcow2."""
