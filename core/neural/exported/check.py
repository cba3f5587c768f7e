"""Compare this model with what it answered when it was made: python check.py

Ends with status 1 where a probability differs by more than 0.001, or a verdict is another.
"""

import json
import sys

from core.neural.exported.predict import FOLDER, Model

TOLERANCE = 1e-3


def main() -> int:
    model, differs = Model(), False
    for name, expected in json.loads((FOLDER / "golden.json").read_bytes()).items():
        found = model.answer(str(FOLDER / name))
        difference = max(abs(found["scores"][label] - score) for label, score in expected["scores"].items())
        is_same = difference <= TOLERANCE and found["verdict"] == expected["verdict"]
        differs |= not is_same
        print(f"{name}: {'same' if is_same else 'DIFFERENT'} ({found['label']}, {difference:.1e})")
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
