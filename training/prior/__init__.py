"""What is generally known of names: generated, learned once, shipped."""
