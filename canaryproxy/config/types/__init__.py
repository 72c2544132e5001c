"""Value types of the config: what a user writes to a typed value, or an error with a suggestion."""
