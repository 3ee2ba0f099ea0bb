"""Safe handling of untrusted file paths and names."""
