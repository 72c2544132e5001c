"""The decision, pure and synchronous: route, version and endpoint of a request, and the reason.

`route_index` finds the route by host and path, `split` draws the bucket, `decide` combines them. No I/O and no clock;
random numbers are an argument.
"""
