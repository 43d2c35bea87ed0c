"""Documents with a generated part, which stands between two marks."""

BEGIN = "<!-- generated: begin -->\n"
END = "<!-- generated: end -->"


def renewed(document: str, generated: str) -> str:
    """Return the document with what stands between its marks replaced.

    Raises: ValueError where the marks are missing.
    """
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the marks {BEGIN.strip()} and {END.strip()}")
    return f"{head}{BEGIN}\n{generated}\n{END}{tail}"
