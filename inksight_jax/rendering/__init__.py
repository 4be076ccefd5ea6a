"""Ink to pictures: strokes, augmentation, generated handwriting, sheets."""
