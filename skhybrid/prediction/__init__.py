"""Predict rows of tables and trajectories: rollouts, rates, initial states, scores."""
