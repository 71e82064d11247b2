"""Threads, device, seeds and warnings: what a computation finds around it."""
