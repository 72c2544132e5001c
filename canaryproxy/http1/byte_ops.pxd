cpdef bytes joined(tuple pieces)
cpdef bytes decimal(Py_ssize_t number)
cpdef bytes cut(bytes data, Py_ssize_t begin, Py_ssize_t end)
cpdef tuple unchunked(bytes data, Py_ssize_t begin, Py_ssize_t room, Py_ssize_t spare)
