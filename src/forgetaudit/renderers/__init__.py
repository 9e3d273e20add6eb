"""AuditReport to text."""
