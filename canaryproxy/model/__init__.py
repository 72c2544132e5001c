"""The words of the project as frozen, typed, plain data. Standard library only, no I/O, no clock.

Everything that crosses the border between the control plane and the data plane is declared here:
`RoutingTable` goes down, `Delta` comes up.
"""
