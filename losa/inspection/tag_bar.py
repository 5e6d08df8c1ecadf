"""A bar under a timeline with the tag of the selected segment, a list and a field for a note."""

import html
from collections.abc import Callable, Sequence

import ipywidgets as w

NO_TAG = "no tag"


class TagBar(w.HBox):
    """Shows the tag of one segment and calls put(tag, note) when it is changed; tag "" where it is taken away.

    choice, note: the controls, of which Python may also set the `value`. what goes wrong is said beside them.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self.choice = w.Dropdown(options=[NO_TAG, *tags], layout={"width": "9em"}, tooltip="Tag of the segment")
        self.note = w.Text(placeholder="note", continuous_update=False, layout={"width": "16em"})
        self.note.tooltip = "Note"
        self._name, self._put, self._showing = w.HTML(), None, False
        super().__init__([self._name, self.choice, self.note], layout={"flex_flow": "row wrap"})
        for control in (self.choice, self.note):
            control.observe(self._changed, "value")
        self.show("", None)

    def show(self, name: str, put: Callable | None, tag: str = "", note: str = "") -> None:
        """Show the tag of the segment with this name; with put None there is none to tag, and `name` says why."""
        self._showing, self._put = True, put
        self._name.value = f"<span>{html.escape(name or 'select a segment in the timeline to tag it')}</span>"
        self.choice.value, self.note.value = tag or NO_TAG, note
        self.choice.disabled = self.note.disabled = put is None
        self._showing = False

    def _changed(self, _change: dict) -> None:
        tag = self.choice.value if self.choice.value != NO_TAG else ""
        if self._showing or self._put is None or (_change["owner"] is self.note and not tag):
            return
        try:
            self._put(tag, self.note.value if tag else "")
        except Exception as problem:  # nobody would see an error in a callback
            self._name.value = f'<span role="alert">not tagged: {html.escape(str(problem))}</span>'
