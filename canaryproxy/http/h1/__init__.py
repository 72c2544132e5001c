"""HTTP/1.1 as bytes in, events out: strict heads, framing, and the rewriting between two hops. No I/O.

`RequestParser` and `ResponseParser` turn received bytes into events; `hops` turns a parsed head into
the bytes of the next hop; `write` frames bodies. Input that could be read in two ways is refused
(RFC 9112 11.2), never repaired, and what goes out is always framed by us.
"""
