cpdef bytes normalise(bytes path)
