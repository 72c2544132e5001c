"""The control plane: the desired state of each route, compiled to the tables of the data plane.

The only calls into the data plane are `TrafficControl`'s. A routing table is always compiled whole from the desired
state and never modified.
"""
