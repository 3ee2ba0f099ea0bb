"""A training run: its database row, its lease, and the verdict on the new model."""
