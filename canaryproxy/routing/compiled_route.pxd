from canaryproxy.model.decision cimport VersionChoice
from canaryproxy.routing.hashing cimport Hash
from canaryproxy.routing.affinity cimport ClientKey, AffinityKey
from canaryproxy.routing.request_view cimport RequestView
from canaryproxy.routing.rule_index cimport RuleIndex


cdef class TrafficSplit:
    cdef public VersionChoice below, above
    cdef public Hash hash
    cdef public object rule
    cdef public bytes salt
    cdef public tuple split
    cdef public int weight
    cdef public bint certain, drawn


cdef class CompiledRoute:
    cdef public object route
    cdef public bytes salt
    cdef public tuple split
    cdef public Hash hash
    cdef public RuleIndex rule_index
    cdef public VersionChoice stable, canary
    cdef public int weight
    cdef public bint plain, stable_only
    cdef bint _canary_off
    cdef AffinityKey _affinity_key
    cdef tuple _excluded
    cdef object _goals, _caches, _mirror
    cdef dict _by_rule
    cdef TrafficSplit _by_weight, _by_key, _unanalysed_by_weight, _unanalysed_by_key
    cdef VersionChoice _aborted

    cpdef tuple split_for(self, RequestView request, rng)
    cpdef TrafficSplit split_of_rule(self, rule)
    cdef ClientKey _key(self, RequestView request, rng)
