"""The model: predicts probabilities of the categories from tokens and header values."""
