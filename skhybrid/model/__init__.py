"""The model: physics and network, how they are joined, and the forward maps."""
