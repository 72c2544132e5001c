"""What the supervisor and the fork server say to each other, over a socket that keeps messages apart."""

import struct

FORK = b"f"
"""Fork a worker; its link comes along. Answered with its `PID`, and a pidfd beside it."""

RETIRE = b"r"
"""End, and leave the workers alone. The end of the socket without it takes them along."""

PID = struct.Struct("!I")
