"""Between our objects and those of other systems."""
