"""Processes and what they need of the machine: workers, sockets, CPUs, memory, files."""
