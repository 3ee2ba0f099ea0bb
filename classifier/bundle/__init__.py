"""The versioned archive that a model is stored and served as."""
