"""From records to batches of model features."""
