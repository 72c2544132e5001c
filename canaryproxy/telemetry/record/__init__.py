"""Measured on the request path: counters, histograms, users and log lines that workers write."""
