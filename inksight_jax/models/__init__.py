"""T5X-shaped model objects: they own the loss, the metrics and prediction."""
