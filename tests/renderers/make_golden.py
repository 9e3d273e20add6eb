"""Write the golden reports anew, to be read in review: `python -m tests.renderers.make_golden` from the repository."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.renderers.screens import previews, screens

SAMPLE = Path(__file__).parents[2] / "sample_data"
GOLDEN = Path(__file__).parent / "golden"
WORDS = "compare base.safetensors tuned.safetensors --data src_val --max-drop 2pt --min-cka 0.8 --threads 1 --no-fail"


def main() -> None:
    """The first screen of a report made by hand, and the sample's fine-tune in every form that is kept."""
    for name, text in {**screens(), **previews()}.items():
        (GOLDEN / name).write_text(text, encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        saved = f"{folder}/report.json"
        run = [sys.executable, "-m", "forgetaudit"]
        subprocess.run([*run, *WORDS.split(), "-q", "--output", f"json={saved}"], cwd=SAMPLE, check=True)
        for form, name in {
            "md": "report.md",
            "junit": "report.xml",
            "github": "report.log",
            "csv": "report.csv",
        }.items():
            # Elsewhere than the sample, whose config has no rule.
            subprocess.run(
                [*run, "show", saved, "--format", form, "-o", str(GOLDEN / name)], cwd=folder, check=True
            )


if __name__ == "__main__":
    main()
