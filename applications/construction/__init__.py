"""From a row of a family's table and a caller's choices to a network: one way for all."""
