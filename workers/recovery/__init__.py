"""From "a worker died" to "its files have rows"."""
