"""What each command has to say, as blocks; a module a command."""
