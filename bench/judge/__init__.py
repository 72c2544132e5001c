"""The judge in simulation: false alarms, delays, whole ramps, beside what others do."""
