"""How many evaluations a search needs to find the best."""
