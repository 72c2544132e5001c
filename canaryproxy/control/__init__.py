"""The control plane: the desired state of each route, compiled to the tables of the data plane."""
