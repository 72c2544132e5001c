"""The data plane: every socket on the request path.

In the order of a request: `plane` owns the listeners and the table, `listener` accepts, `client_h1` is a client
connection, `exchange` one request and its response, `pool` and `upstream_h1` the connections to endpoints, `failover`
and `local_response` what follows a failure. Callbacks only: no task and no timer per request.
"""
