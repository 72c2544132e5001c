"""Pictures of the simulations."""
