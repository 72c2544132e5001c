from canaryproxy.model.decision cimport VersionChoice
from canaryproxy.routing.hashing cimport Hash
from canaryproxy.routing.affinity cimport Key, Sticky
from canaryproxy.routing.facts cimport Facts
from canaryproxy.routing.rules cimport RuleBook


cdef class Lot:
    cdef public VersionChoice below
    cdef public VersionChoice above
    cdef public Hash hash
    cdef public object rule
    cdef public bytes salt
    cdef public tuple split
    cdef public int weight
    cdef public bint certain
    cdef public bint drawn


cdef class Entry:
    cdef public object route
    cdef public bytes salt
    cdef public tuple split
    cdef public Hash hash
    cdef public RuleBook book
    cdef public VersionChoice stable
    cdef public VersionChoice canary
    cdef public int weight
    cdef public bint plain
    cdef public bint alone
    cdef bint _off
    cdef Sticky _sticky
    cdef tuple _excluded
    cdef object _goals
    cdef object _caches
    cdef object _mirror
    cdef dict _by_rule
    cdef Lot _by_weight
    cdef Lot _by_key
    cdef Lot _unjudged_by_weight
    cdef Lot _unjudged_by_key
    cdef VersionChoice _aborted

    cpdef tuple lot(self, Facts facts, dice)
    cpdef Lot lot_of(self, rule)
    cdef Key _key(self, Facts facts, dice)
