from canaryproxy.model.head cimport RequestHead, ResponseHead


cpdef RequestHead take_request(bytes data, Py_ssize_t begin)
cpdef ResponseHead take_response(bytes data, Py_ssize_t begin)
cpdef bint field_line(bytes line)
cpdef Py_ssize_t count_lines(bytes data, Py_ssize_t begin, Py_ssize_t end) except -1
