"""The model that serves, and its predictions for the sounds of a batch."""
