"""The model in use, and its predictions for the sounds of a batch."""
