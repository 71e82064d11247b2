"""Threads, devices, seeds and warnings: the surroundings of a computation."""
