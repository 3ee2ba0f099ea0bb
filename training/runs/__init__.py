"""One training run: its row, its lease, its verdict."""
