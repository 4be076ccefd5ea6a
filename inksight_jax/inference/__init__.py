"""A trained model directory: predictions, result files and evaluation."""
