"""The domain model as frozen, typed, plain data. Standard library only, no I/O, no clock.

It includes everything that control plane and data plane exchange: `RoutingTable` down, `Delta` up.
"""
