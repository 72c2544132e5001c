cpdef long bucket_of(double seconds) except? -99999
