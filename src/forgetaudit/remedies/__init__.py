"""Ways to win back what was lost: variants made from base and tuned."""
