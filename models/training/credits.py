"""Rewrites the credits at the end of the model card from the clips' list: author, title, licence and source of every
clip under CC-BY that the model was trained or tested on."""

import argparse
import csv
import re
from pathlib import Path

MARK = "<!-- credits: written by training/credits.py -->"


def credits(rows: list[dict]) -> str:
    """Markdown lines, one an original recording, by author."""
    seen = {}
    for row in rows:
        if row["licence"].upper().startswith("CC-BY"):
            key = (row["author"], row["source_title"], row["licence"], row["source_url"])
            seen.setdefault(key, set()).add(row["fold"])
    # Some titles of the list hold Latin-1 letters as escapes.
    plain = lambda text: re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)
    clean = lambda text: " ".join(plain(text).split()).replace("|", "\\|").replace("<", "&lt;")
    lines = ["| author | title | licence | source | folds |", "|---|---|---|---|---|"]
    for (author, title, licence, url), folds in sorted(seen.items(), key=lambda item: (item[0][0].lower(), item[0][1:])):
        lines.append(f"| {clean(author)} | {clean(title)} | {clean(licence)} | <{url}> | {', '.join(sorted(folds))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder with clips.csv")
    arguments.add_argument("--card", type=Path, default=Path(__file__).resolve().parents[1] / "impact.md")
    options = arguments.parse_args()
    with open(options.data / "clips.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    head = options.card.read_text().split(MARK)[0]
    options.card.write_text(f"{head}{MARK}\n\n{credits(rows)}")


if __name__ == "__main__":
    main()
