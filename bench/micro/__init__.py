"""Timings of single parts, in one process."""
