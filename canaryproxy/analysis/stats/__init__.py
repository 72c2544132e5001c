"""The mathematics of the judge, each with its source: e-processes, anytime-valid intervals, drift, dispersion."""
