"""The models that were stored, and the runs that trained them."""
