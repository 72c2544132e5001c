"""Rollouts: what a plan is, and what becomes of it. Pure: time and what is known come with each event."""
