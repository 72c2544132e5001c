"""HTTP semantics and codecs: bytes in, heads and payload out. No socket, no clock."""
