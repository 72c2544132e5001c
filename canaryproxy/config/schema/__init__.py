"""The schema of the config: its sections, keys and defaults."""
