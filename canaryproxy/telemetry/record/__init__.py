"""Telemetry recorded on the request path: counters, histograms, users and log lines of one worker."""
