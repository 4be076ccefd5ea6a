"""Where the words of a page are."""
