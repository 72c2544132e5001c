cpdef bytes concat(tuple pieces)
cpdef bytes itoa(Py_ssize_t number)
cpdef bytes slice_(bytes data, Py_ssize_t begin, Py_ssize_t end)
cpdef tuple dechunk(bytes data, Py_ssize_t begin, Py_ssize_t room, Py_ssize_t spare)
