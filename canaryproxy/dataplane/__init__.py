"""The data plane: every socket on the request path.

In the order of a request's life: `plane` owns the listeners and the table, `downstream` is a client
connection, `exchange` one request and its response, `pool` and `upstream` the connections to endpoints,
`retry` and `respond` what happens when something fails. Callbacks only: no task and no timer a request.
"""
