"""The simulated stream of card transactions and its delayed labels."""
