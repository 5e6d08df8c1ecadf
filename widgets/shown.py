"""What a notebook has of a widget: a picture beside it, and no more than the widgets that it still shows."""

import warnings
from collections.abc import Iterator
from typing import Any

from IPython import get_ipython
from ipywidgets import Widget
from matplotlib.figure import Figure

from widgets.figures import notebook_png

_of_cell: dict[str, list[Widget]] = {}  # what each cell showed when it ran last
_new: list[Widget] = []  # what has been shown since a cell ended


class Shown:
    """Before a class of widgets: gives their output a picture and one line of text, for where no widget can be drawn.

    These are readers of GitHub, of HTML made by nbconvert, and of a notebook that nobody has trusted. When a cell runs
    again, the widgets that only this cell had shown are closed, since nobody can see them; shown once more, they open.
    """

    def figure(self) -> Figure | None:
        """Return the picture that stands for this widget, for a box its timeline's; None: the line has to do."""
        return view.figure() if (view := getattr(self, "timeline", None)) else None

    def line(self) -> str:
        """Return the line of text that stands for this widget."""
        name, view = type(self).__name__, getattr(self, "timeline", None)
        return f"{name}, {view.line()}" if view else f"{name} {getattr(self, 'title', '')}".rstrip()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        for part in parts_of(self):
            part.open()
        _new.append(self)
        if (shell := get_ipython()) and _tidy not in shell.events.callbacks["post_run_cell"]:
            shell.events.register("post_run_cell", _tidy)
        given = super()._repr_mimebundle_(**kwargs)
        bundle = given[0] if isinstance(given, tuple) else given
        bundle["text/plain"] = self.line()
        try:
            picture = self.figure()
            bundle |= {"image/png": notebook_png(picture)} if picture else {}
        except Exception as error:  # the widget itself is there all the same
            warnings.warn(f"{bundle['text/plain']} is without a picture for readers who have no kernel: "
                          f"{type(error).__name__}: {error}", stacklevel=2)
        return given


def parts_of(widget: Widget, seen: set[Widget] | None = None) -> Iterator[Widget]:
    """Yield the widgets that this one consists of or keeps at hand, those in `seen` left out, and itself in the end."""
    seen = set() if seen is None else seen
    seen.add(widget)
    for value in [*(getattr(widget, name) for name in widget.keys), *vars(widget).values()]:
        for part in value if isinstance(value, list | tuple) else [value]:
            if isinstance(part, Widget) and part not in seen:
                yield from parts_of(part, seen)
    yield widget


def _tidy(result: Any) -> None:
    """Close what the cell had shown before and nothing shows now; JupyterLab and Notebook tell which cell it was."""
    shown, _new[:] = [*_new], []
    if (cell := getattr(result.info, "cell_id", None)) is None:
        return
    before, _of_cell[cell] = _of_cell.get(cell, []), shown
    kept = {part for widgets in _of_cell.values() for widget in widgets for part in parts_of(widget)}
    for part in {part for widget in before for part in parts_of(widget)} - kept:
        if part.comm:
            part.close()
            del part._repr_mimebundle_  # with which ipywidgets keeps a closed widget from being shown
