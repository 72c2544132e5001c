"""Reads YAML text into a tree of plain values and records the position of each of them."""
