"""Fitted models in files: saved and loaded without pickle, and exported as programs."""
