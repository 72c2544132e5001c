from canaryproxy.routing.seek cimport is_normal


cpdef bytes normalise(bytes path)
