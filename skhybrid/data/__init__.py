"""The user's data: rows, columns, scales, times and windows of trajectories."""
