"""Persistent state behind the port `control.ports.Store`: `sqlite` for production, `memory` for `state: memory`."""
