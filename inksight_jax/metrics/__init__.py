"""How good is it: text errors, ink distances, and their summaries."""
