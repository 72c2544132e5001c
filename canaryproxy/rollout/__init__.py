"""Rollouts: their plans and their state machine. Pure: time and measurements come with each event."""
