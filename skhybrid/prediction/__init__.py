"""Predictions of trajectories: rollouts, initial states, scores."""
