"""How far an optimizer can have moved a weight: bounds from learning rates alone, and the logs that name them."""
