"""Variants over one stream: runs the models, each module once per distinct weights and inputs."""
