"""The lab that boots recovered disks in QEMU on this machine."""

from adapters.labs.qemu.lab import QemuLab

__all__ = ["QemuLab"]
