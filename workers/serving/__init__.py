"""Which model serves, and what it says of the sounds of a batch."""
