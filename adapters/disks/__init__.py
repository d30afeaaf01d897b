"""Virtual disk images: read as frozen disks, written as new files."""
