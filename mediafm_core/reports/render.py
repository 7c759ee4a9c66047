"""Templates to HTML. Everything that is put into a template is escaped, unless it is our own markup."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mediafm_core.reports.pictures import PictureSheet


def render(template: str, **values: Any) -> str:
    """A page from one of the templates beside this file.

    Args:
        template: the file's name.
        values: what the template reads; `sheet` is the page's `PictureSheet`.
    """
    return _environment().get_template(template).render(sheet=PictureSheet(), **values)


def clock(seconds: float) -> str:
    """A time in a title as h:mm:ss.s, the hours left out where there are none."""
    minutes, tenths = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def count(n: int) -> str:
    """A number of things, its thousands separated."""
    return f"{n:,}"


def cosine(value: float) -> str:
    """A cosine with a true minus sign, so that columns align."""
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(clock=clock, count=count, cosine=cosine)
    return environment
