"""Measurements of canaryproxy beside other proxies, and proofs of what it claims. Not part of the package."""
