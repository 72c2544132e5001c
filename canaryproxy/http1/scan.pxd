from canaryproxy.model.message cimport RequestHead, ResponseHead


cpdef Py_ssize_t take_request(bytes data, Py_ssize_t begin, RequestHead head) except -2
cpdef Py_ssize_t take_response(bytes data, Py_ssize_t begin, ResponseHead head) except -2
cpdef Py_ssize_t count_lines(bytes data, Py_ssize_t begin, Py_ssize_t end) except -1
