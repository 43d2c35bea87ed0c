"""What is wrong with a value, said to a person: the one place that turns pydantic's errors to text.

Whatever pydantic would say itself reaches nobody: a kind of error that is not in the table is told
in general words. A pattern says nothing to most people, so each is declared with a sentence of its
own (`described`), and a test walks all schemas for one that is not.
"""

from collections.abc import Callable, Mapping
from typing import Any

from app.core.amounts import exact

_SENTENCES: dict[str, str] = {}
_IN_GENERAL = "This value can't be used here."

Context = Mapping[str, Any]


def described(pattern: str, sentence: str) -> str:
    """Return the pattern of a field, whose values are asked for by `sentence` where they break it.

    Raises: ValueError where the same pattern has another sentence already.
    """
    if _SENTENCES.setdefault(pattern, sentence) != sentence:
        raise ValueError(f"{pattern!r} has a sentence already: {_SENTENCES[pattern]}")
    return pattern


def is_described(pattern: str) -> bool:
    """Tell whether a pattern has a sentence."""
    return pattern in _SENTENCES


def sentence(error: Mapping[str, Any]) -> str:
    """Return what a person has to change, for one of the errors of a `ValidationError`."""
    say = _KINDS.get(str(error["type"]), _IN_GENERAL)
    text = say if isinstance(say, str) else say(error.get("ctx") or {})
    return as_sentence(text)


def as_sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    stripped = text.strip()
    ended = stripped if stripped.endswith((".", "!", "?")) else f"{stripped}."
    return ended[:1].upper() + ended[1:]


def place(error: Mapping[str, Any]) -> str:
    """Return the name of the field that one of the errors of a `ValidationError` is about."""
    # The name of a variable that breaks a rule is the last but one part.
    parts = [str(part) for part in error["loc"] if part != "[key]"]
    return ".".join(parts) or "body"


def _pattern(context: Context) -> str:
    return _SENTENCES.get(str(context.get("pattern")), _IN_GENERAL)


def _number(context: Context, key: str) -> str:
    value = context[key]
    whole = isinstance(value, int) or value.is_integer()
    return f"{int(value):,}".replace(",", " ") if whole else exact(value)


def _bound(words: str, key: str, of_moments: str) -> Callable[[Context], str]:
    def say(context: Context) -> str:
        if isinstance(context[key], str):  # a moment, written out
            return f"Name a moment {of_moments} {context[key][:10]}."
        return f"Enter a number {words} {_number(context, key)}."

    return say


def _choice(context: Context) -> str:
    names = str(context.get("expected", "")).replace("'", "")
    return f"Choose one of these: {names}." if names else _IN_GENERAL


def _too_short(context: Context) -> str:
    least = int(context["min_length"])
    return "Fill this in." if least == 1 else f"Use at least {least} characters."


def _too_few(context: Context) -> str:
    least = int(context["min_length"])
    return "Name at least one." if least == 1 else f"Name at least {least}."


def _own(context: Context) -> str:
    """Return what a rule of ours says; its text is ours, and a sentence."""
    return str(context.get("error") or _IN_GENERAL)


_TEXT = "Enter a text."
_WHOLE = "Enter a whole number."
_ANY_NUMBER = "Enter a number."
_DAY = "Enter a day, such as 2030-01-31."
_MOMENT = "Enter a date and time with a time zone, such as 2030-01-31T12:00:00Z."
_YES_OR_NO = "Enter true or false."
_OBJECT = "Give an object with named fields."
_LIST = "Give a list."

_KINDS: dict[str, str | Callable[[Context], str]] = {
    "missing": "Fill this in.",
    "extra_forbidden": "There is no such field; leave it out.",
    "json_invalid": "This is no valid JSON.",
    "json_type": "This is no valid JSON.",
    "string_type": _TEXT,
    "string_unicode": "This text has characters that do not exist.",
    "string_too_short": _too_short,
    "string_too_long": lambda context: f"Use at most {_number(context, 'max_length')} characters.",
    "string_pattern_mismatch": _pattern,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "Enter a smaller number.",
    "int_from_float": _WHOLE,
    "float_type": _ANY_NUMBER,
    "float_parsing": _ANY_NUMBER,
    "finite_number": _ANY_NUMBER,
    "greater_than": _bound("greater than", "gt", "after"),
    "greater_than_equal": _bound("of at least", "ge", "not before"),
    "less_than": _bound("less than", "lt", "before"),
    "less_than_equal": _bound("of at most", "le", "not after"),
    "multiple_of": _bound("that is a multiple of", "multiple_of", ""),
    "bool_type": _YES_OR_NO,
    "bool_parsing": _YES_OR_NO,
    "enum": _choice,
    "literal_error": _choice,
    "none_required": "Leave this empty.",
    "list_type": _LIST,
    "set_type": _LIST,
    "too_short": _too_few,
    "too_long": lambda context: f"Name at most {_number(context, 'max_length')}.",
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "invalid_key": "Names are texts.",
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_object_invalid": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "date_type": _DAY,
    "date_parsing": _DAY,
    "date_from_datetime_parsing": _DAY,
    "date_from_datetime_inexact": _DAY,
    "timezone_aware": _MOMENT,
    "timezone_naive": _MOMENT,
    "value_error": _own,
}
