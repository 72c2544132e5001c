cimport cython
from libc.stdint cimport uint64_t

from canaryproxy.model.client cimport Client
from canaryproxy.model.decision cimport VersionChoice
from canaryproxy.model.head cimport RequestHead
from canaryproxy.routing.affinity cimport ClientKey
from canaryproxy.routing.compiled_route cimport CompiledRoute, TrafficSplit
from canaryproxy.routing.request_view cimport RequestView
from canaryproxy.routing.route_index cimport RouteIndex
from canaryproxy.routing.split cimport Splits

cdef unsigned int _buckets


@cython.locals(compiled=CompiledRoute, key=ClientKey, choice=VersionChoice, split=TrafficSplit, decisions=tuple, request_view=RequestView, bucket=int,
               number=uint64_t)
cpdef tuple decide(RouteIndex index, RequestHead head, Client client, Splits splits, loads)
cdef uint64_t _client_number(Client client, TrafficSplit split, ClientKey key) except? 0
