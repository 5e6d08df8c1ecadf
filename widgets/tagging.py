"""The base of widgets in whose lists a segment can be tagged."""

from collections.abc import Callable, Mapping, Sequence

import traitlets

from widgets.base import View


class Tagged(View):
    """A `View` with tags of segments. tags: names to choose from, none where nothing can be tagged.

    tagged: {"KIND INDEX VIDEO": [tag, note]} of all segments that have a tag, KIND "prediction" or "truth".
    """

    tags = traitlets.List(traitlets.Unicode()).tag(sync=True)
    tagged = traitlets.Dict().tag(sync=True)
    frames: Callable | None = None
    _put: Callable | None = None

    def take_pictures(self, content: Mapping) -> tuple[list[bytes], str]:
        """Return frames at start, middle and end of a message's "segment" as JPEGs, and why there are none."""
        start, end = content["segment"]
        try:
            return list(self.frames(content["video"], [start, (start + end) / 2, end])) if self.frames else [], ""
        except Exception as problem:  # whatever a video may hold; the list stays usable
            return [], str(problem)

    def show_tags(self, places: Mapping[tuple[str, str, int], Sequence[str]]) -> None:
        """Show these tags, {(video, kind, index): (tag, note)}, instead of those before."""
        self.tagged = {f"{kind} {index} {video}": list(tag) for (video, kind, index), tag in places.items()}

    def let_tag(self, tags: Sequence[str], put: Callable, places: Mapping) -> None:
        """Let segments be tagged with one of `tags`: put(video, kind, index, tag, note), tag "" to take it away."""
        self._put, self.tags = put, list(tags)
        self.show_tags(places)

    def hear_tag(self, content: Mapping) -> bool:
        """Do what a message asks for if it is about a tag, and return whether it is; what goes wrong is shown."""
        if content.get("kind") != "tag" or self._put is None:
            return False
        where = (content["video"], content["of"], int(content["index"]))
        try:
            self._put(*where, content["tag"], content["note"])
            key, others = f"{where[1]} {where[2]} {where[0]}", dict(self.tagged)
            others.pop(key, None)
            self.tagged = others | ({key: [content["tag"], content["note"]]} if content["tag"] else {})
        except Exception as problem:  # a full disk, a file that somebody broke; the list stays usable
            self.send({"kind": "untagged", "error": f"Not tagged: {problem}"})
        return True
