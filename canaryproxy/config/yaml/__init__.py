"""YAML text to a tree of plain values that remembers where each of them stands."""
