"""Text codecs and the one vocabulary of text ids followed by ink ids."""
