"""One script a step, in order; never changed once released."""
