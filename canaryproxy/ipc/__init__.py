"""The border between the planes: what supervisor and worker say to each other over their socket pair, and how.

Plain data only: messages in `messages`, their bytes in `codec`, the socket in `channel`. Tables travel as differences.
"""
