"""The command `inksight-jax`: arguments here, work elsewhere."""
