"""What follows from a report: rules and their verdict, findings, what was accepted before, and whether it adds up."""
