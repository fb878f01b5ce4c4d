"""Configs that something, somewhere, does not read back."""

from formats.configs import NASTY, Config
from promptlooper_export.configs import JSON


def _nested(depth: int) -> Config:
    value: JSON = "deep"
    for level in range(depth):
        value = {f"level {level}": [value]} if level % 2 else {"k": value}
    return {"a": value}


CORPUS: dict[str, Config] = {
    **NASTY,
    "Terraform templates": {"k": "${var.x} %{ if true }yes%{ endif } $${a} %%{b}"},
    "Terraform's own words": {"source": "s", "version": 1, "count": 3, "for_each": []},
    "Terraform comment key": {"//": "kept", "a": {"//": "kept, too"}},
    "not in normal form C": {"k": "e\u0301 \u212b", "e\u0301": 1},
    "GitHub delimiters": {"k": "a\nEOF\nb", "l": "EOF", "m": "x<<EOF", "n": "a=b<<c"},
    "GitHub delimiter of the text": {"k": "EOF\nEOF_0\n"},
    "line feeds at both ends": {"k": "\n\na\n\n", "l": "\n"},
    "CR at the end": {"k": "a\r", "l": "a\nb\r", "m": "\r"},
    "names that take effect": {
        "path": "/nowhere",
        "ifs": ",",
        "ld_preload": "/x.so",
        "node_options": "--x",
        "ps4": "$(id)",
        "uid": "7",
        "bash_env": "/x",
        "home": "/h",
    },
    "names that zsh refuses": {"ppid": "7", "lineno": "7", "histcmd": "7"},
    "longest variable and one more": {"a": "x" * 130_000, "b": "y" * 131_100},
    "longest line of Docker": {"a": "x" * 65_532, "b": "y" * 65_533},
    "1 MiB": {"k": "é" * (1 << 19)},
    "nested": _nested(40),
    "nested deeply": _nested(120),
    "wide": {f"key {number}": number for number in range(500)},
    "jinja and go templates": {"k": "{{ x }} {%- if a -%} {{- .a | quote -}} {#c#}"},
    "prompt with everything": {
        "system": "You're \"helpful\".\n\n```python\nprint(f'{x!r}')  # $HOME `id`\n"
        "```\n"
        "- {{ question }}\n\tuse: \\n, \\\\ and C:\\temp\\\n<|im_end|>\n"
    },
    "quotes of every kind": {"k": "'\"`\u2018\u2019\u201c\u201d\u00ab\u00bb"},
    "quotes at both ends": {
        "a": "'x'",
        "b": '"x"',
        "c": "`x`",
        "d": "'x\"",
        "e": "\"'",
    },
    "backslashes before quotes": {"a": "\\'", "b": '\\"', "c": "\\`", "d": "a\\\\'b\\"},
    "comment after space": {"k": "a #b", "l": "#b", "m": "a#b", "n": " # "},
    "keys alike but for case or accents": {"É": 1, "E": 2, "é́": 3},
    "floats at the limits": {
        "k": [5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, 1e22, 1e23],
        "l": -0.0,
        "m": 0.1 + 0.2,
        "n": 1e-7,
        "o": 123456789012345680.0,
    },
    "integers at the limits": {
        "k": [2**53, 2**53 + 1, -(2**53) - 1],
        "l": 2**63 - 1,
        "m": -(2**63),
    },
    "integers beyond 64 bits": {"k": 2**63, "l": 2**64, "m": 10**40, "n": -(10**40)},
    "formulas of spreadsheets": {
        "a": "=1+1",
        "b": "+1",
        "c": "-1",
        "d": "@SUM(A1)",
        "e": "\t=1",
        "f": "\uff1d1",
        "g": "=cmd|' /C calc'!A0",
        "h": "'=1",
        "i": "-0.5",
    },
    "null everywhere": {
        "a": None,
        "b": {"c": None},
        "d": [None, [None]],
        "e": {"": None},
    },
    "empty everywhere": {
        "a": "",
        "b": [],
        "c": {},
        "d": [[], {}, ""],
        "": {"": {"": ""}},
    },
}
"""By what is nasty about them."""
