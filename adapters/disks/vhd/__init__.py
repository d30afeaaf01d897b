"""VHD images, the format before VHDX. Source: Virtual Hard Disk Image Format Specification 1.0 (Microsoft, 2006)."""
