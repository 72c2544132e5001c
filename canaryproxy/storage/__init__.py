"""What survives a restart, behind a small port: `sqlite` for production, `memory` for tests and `state: memory`."""
