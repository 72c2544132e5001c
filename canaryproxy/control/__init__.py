"""The single writer: what the user wants, compiled to the tables of the data plane.

The border to the data plane is one verb and one type, `publish(RoutingTable)`; a table is always
built whole from the desired state and never changed afterwards.
"""
