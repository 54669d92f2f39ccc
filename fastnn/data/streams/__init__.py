"""Data larger than memory, read block by block in a shuffled order."""
