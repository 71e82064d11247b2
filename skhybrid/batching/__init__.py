"""Fits that are trained together, and how candidates are compared."""
