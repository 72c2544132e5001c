"""Telemetry read by the control plane: the measurements of all workers, summed and exposed."""
