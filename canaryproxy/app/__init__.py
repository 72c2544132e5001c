"""Processes and wiring: the instance, its supervisor, and the workers."""
