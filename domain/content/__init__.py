"""Formats and algorithms on bytes: chunking, sealing, packs, disk maps, partition tables."""
