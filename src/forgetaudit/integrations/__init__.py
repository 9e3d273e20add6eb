"""Other programs that run beside ours, each behind its own extra and imported on request."""
