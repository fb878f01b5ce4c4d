"""Configs made up by chance, as nasty as those of the corpus."""

import random
from collections.abc import Mapping

from hypothesis import HealthCheck, Phase, given, seed, settings

from formats.configs import SIGNIFICANT, Config, configs
from promptlooper_export.configs import JSON

# What some language takes for more than text.
_PLAIN = """
true null ~ 1e3 0x1F 0o17 1_000 12:30:45 2026-01-01 .inf .NaN -.5 +1 0123 = << y N on
%YAML --- &a *a |- @x `x` $(x) ${X} $X EOF a<<b KEY=value # =1+1 ' " \\
"""
_SPACED = (
    "- a", "? a", ": a", "a: b", "a #b", "!!str x", "{a: 1}", "export A=1", " a", "a ",
    "\\n", "\ta", "a\n", "\na", "a\r\nb", "a\n\nb\n", "\u2028",
)  # fmt: skip
WORDS = (*_PLAIN.split(), *_SPACED)


def made_up(number: int, size: int) -> Mapping[str, Config]:
    """Return `size` configs; the same for the same number."""
    found: list[Config] = []

    @seed(number)
    @settings(
        max_examples=size // 2,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(configs)
    def collect(config: Config) -> None:
        found.append(config)

    collect()
    chance = random.Random(number)  # noqa: S311  the same ones each time
    found += [_config(chance) for _ in range(size - len(found))]
    return {f"made up {place}": config for place, config in enumerate(found)}


def _config(chance: random.Random) -> Config:
    config: Config = {}
    for place in range(chance.randrange(1, 5)):
        name = chance.choice([f"k{place}", chance.choice(WORDS) + _text(chance, 3)])
        values: list[JSON] = [
            _text(chance, 14),
            chance.choice(WORDS) + chance.choice(WORDS),
            _text(chance, 4) + chance.choice(WORDS) + _text(chance, 4),
            [_text(chance, 6), chance.choice(WORDS)],
            {_text(chance, 5): chance.choice(WORDS)},
            chance.uniform(-1, 1) * 10.0 ** chance.randrange(-30, 30),
            chance.randrange(1 << 63),
        ]
        config[name] = chance.choice(values)
    return config


def _text(chance: random.Random, longest: int) -> str:
    return "".join(chance.choice(SIGNIFICANT) for _ in range(chance.randrange(longest)))
