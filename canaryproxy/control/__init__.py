"""The single writer: what the user wants, compiled to what the data plane is told.

The border to the data plane is one verb and one type, `publish(RoutingTable)`; a table is always
built whole from the desired state and never changed afterwards.
"""
