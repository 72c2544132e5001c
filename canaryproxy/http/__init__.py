"""HTTP semantics and codecs: bytes to heads and payload, and back. No socket, no clock."""
