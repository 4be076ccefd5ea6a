"""One training loop for every model: mesh, optimisers, checkpoints, hooks."""
