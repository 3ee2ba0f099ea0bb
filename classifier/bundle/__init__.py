"""Model bundles: versioned archives that are published, verified and loaded."""
