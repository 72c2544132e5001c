"""HTTP/1.1: strict parsing and framing. No I/O.

`RequestParser` and `ResponseParser` turn received bytes into events; `writer` frames bodies. Ambiguous input is
rejected (RFC 9112 11.2), never repaired.
"""
