"""The decision, pure and synchronous: which route, version and endpoint a request gets, and why.

`match` finds the route by host and path, `split` draws the bucket, `decide` puts the two together.
No I/O, no clock, and no dice but those it is handed.
"""
