"""What may be asked from a terminal. Every command imports what it needs when it runs."""
