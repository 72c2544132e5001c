"""Whether the canary is worse, no different or better: measurements in, verdict out. Pure: no I/O, no clock, no dice.

Everything rests on one primitive, the e-process: evidence that under "no harm" is 1 on average at every moment, so it
may be looked at as often as one likes, and reaching 1/alpha by chance has a probability of at most alpha for ever
(Ville's inequality). docs/analysis.md explains it in words and pictures.
"""
