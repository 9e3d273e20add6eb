"""python -m forgetaudit, and so torchrun -m forgetaudit."""

from forgetaudit.cli import script

if __name__ == "__main__":
    script()
