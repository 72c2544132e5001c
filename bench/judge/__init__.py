"""Simulations of the judge: false alarms, delays, whole ramps, compared with other methods."""
