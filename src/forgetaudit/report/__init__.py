"""What was found, as plain data with a versioned schema. No torch here."""
