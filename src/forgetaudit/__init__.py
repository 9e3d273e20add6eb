"""forgetaudit: what did a fine-tuned checkpoint forget, where, and is it real?"""

__version__ = "0.1.0"
