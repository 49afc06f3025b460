"""The credits at the end of a model card, from the clips' lists: author, title, licence and source of every clip whose licence asks
for a credit."""

import re

MARK = "<!-- credits: written by training/train.py -->"
FREE = re.compile(r"cc0.*|pd|public[- ]domain|", re.IGNORECASE)


def credits(rows: list[dict]) -> str:
    """A Markdown table, one line an original recording (or a collection of one author), by author. Lists may lack the columns
    licence, author, source_url and source_title: what has none of them gets no line."""
    seen = {}
    for row in rows:
        if not FREE.fullmatch((row.get("licence") or "").strip()):
            key = tuple(row.get(column) or "" for column in ("author", "source_title", "licence", "source_url"))
            seen.setdefault(key, set()).add(row["fold"])
    # Some titles of the list hold Latin-1 letters as escapes.
    plain = lambda text: re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)
    clean = lambda text: " ".join(plain(text).split()).replace("|", "\\|").replace("<", "&lt;")
    lines = ["| author | title | licence | source | folds |", "| --- | --- | --- | --- | --- |"]
    for (author, title, licence, url), folds in sorted(seen.items(), key=lambda item: (item[0][0].lower(), item[0][1:])):
        source = f"<{url}>" if url else ""
        lines.append(f"| {clean(author)} | {clean(title)} | {clean(licence)} | {source} | {', '.join(sorted(folds))} |")
    return "\n".join(lines) + "\n"
