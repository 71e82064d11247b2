"""The model: physics, network, how they are joined, and the forward maps."""
