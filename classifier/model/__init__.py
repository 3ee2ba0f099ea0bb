"""From tokens and header figures to the probabilities of the categories."""
