"""Floods by one stranger or one neighbour, before and after, beside nginx and HAProxy (`make prove-attacks`).

The flood and the origin have core 1; the proxy, its operator, its prober and a bystander have core 0. Everything runs
in a network namespace of its own, with loopback alone.
"""
