"""What happened, in numbers: written by the data plane, read by the control plane.

`histogram` says in which bucket a time is counted, `record` counts per decision and second.
"""
