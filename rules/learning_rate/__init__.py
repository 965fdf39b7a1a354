"""How far each step goes."""
