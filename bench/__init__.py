"""Benchmarks of canaryproxy and other proxies, and proofs of its claims. Not part of the package."""
