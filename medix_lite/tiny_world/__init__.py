"""The tiny world: procedural phantoms, a lexicon, questions about them, and an oracle that knows the truth."""
