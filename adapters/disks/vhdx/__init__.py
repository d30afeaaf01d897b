"""VHDX images, read from any byte source; docs/formats/vhdx.md is the map. Source: [MS-VHDX]."""
