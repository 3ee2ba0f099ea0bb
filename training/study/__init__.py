"""The comparison of the published method with ours on a user's table."""
