"""Exported Hyper-V machines and loose disk images in folders, as a machine source."""
