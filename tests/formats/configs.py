"""Configs that something, somewhere, does not read back."""

import json
from pathlib import Path

from hypothesis import strategies as st

from promptlooper_export.configs import JSON

Config = dict[str, JSON]

NASTY: dict[str, Config] = json.loads(
    (Path(__file__).parents[1] / "data" / "configs.json").read_text(encoding="utf-8")
)
"""Configs by what is nasty about them."""

# What quoting, indenting and escaping is made of, so that it meets more often.
SIGNIFICANT = "'\"\\`$#=\n\r\t |>-:?*&!%@{}[]<~,.;aZ09_é\x85\u2028\ufeff\xa0"

texts = st.text(max_size=30) | st.text(SIGNIFICANT, max_size=12)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)

values: st.SearchStrategy[JSON] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)

configs: st.SearchStrategy[Config] = st.dictionaries(texts, values, max_size=4)


def same(one: object, other: object) -> bool:
    """Return whether two values are the same to the letter: 1 is no 1.0 and no True."""
    return repr(one) == repr(other)
