"""Telemetry: `record` is written by the data plane, `read` belongs to the control plane."""
