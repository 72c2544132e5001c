"""The page that the simulations end up on."""
