"""Digital ink: types, resampling, the ink-token codec, InkML and SVG."""
