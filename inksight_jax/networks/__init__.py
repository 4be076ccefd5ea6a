"""Flax linen networks: arrays in, arrays out; no data, no loss, no gin."""
