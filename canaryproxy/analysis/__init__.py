"""Whether the canary is worse, no different or better: measurements in, verdict out. Pure: time and random numbers are
arguments.

Everything rests on one primitive, the e-process: evidence whose mean under "no harm" is at most 1 at every moment. It
may be read at any time, and the probability that it ever reaches 1/alpha by chance is at most alpha (Ville's
inequality). docs/analysis.md explains it in words and pictures.
"""
