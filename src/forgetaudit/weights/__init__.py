"""How far the parameters went, and what was done to them."""
