from canaryproxy.routing.field_scan cimport is_normal


cpdef bytes normalise(bytes path)
