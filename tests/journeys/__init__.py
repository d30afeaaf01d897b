"""Atesta as its users drive it: whole commands, from the outside."""
