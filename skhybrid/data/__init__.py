"""Read the user's data: rows, columns, scales, times, trajectories and their windows."""
