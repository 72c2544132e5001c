"""Read by the control plane: what all workers have measured, summed and exposed."""
