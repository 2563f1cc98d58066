"""Models: build the tiny ones, load any of them, export."""
