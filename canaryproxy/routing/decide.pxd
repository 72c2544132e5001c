cimport cython
from libc.stdint cimport uint64_t

from canaryproxy.model.client cimport Client
from canaryproxy.model.decision cimport VersionChoice
from canaryproxy.model.head cimport RequestHead
from canaryproxy.routing.affinity cimport Key
from canaryproxy.routing.entry cimport Entry, Lot
from canaryproxy.routing.facts cimport Facts
from canaryproxy.routing.match cimport RouteIndex
from canaryproxy.routing.split cimport Splits

cdef unsigned int _buckets


@cython.locals(entry=Entry, key=Key, verdict=VersionChoice, lot=Lot, decisions=tuple, facts=Facts, bucket=int,
               number=uint64_t)
cpdef tuple decide(RouteIndex index, RequestHead head, Client client, Splits splits, loads)
cdef uint64_t _number(Client client, Lot lot, Key key) except? 0
