"""A path that nobody vouches for, opened safely."""
