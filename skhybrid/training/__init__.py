"""Training: members, minibatches, loss, SAM and Adam in one loop, restarts and refinement."""
