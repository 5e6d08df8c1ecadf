"""Questions of the lesson: choose first, then let the kernel compute the answer on this machine, with this run."""

import html
from collections.abc import Callable, Sequence

import ipywidgets as w

from losa.annotations.dataset import Video
from losa.errors import RunError
from losa.inspection.compare_runs import beside_demo
from losa.inspection.lesson import backbone_of, sight
from losa.inspection.lesson_desk import AS_TRAINED, average_map, measure_steps
from losa.inspection.lesson_figures import or_say, reach
from losa.inspection.run_data import RunData
from losa.inspection.run_folder import Run
from losa.model.adapters import spans
from widgets.base import Quiet
from widgets.shown import Shown


class Question(Shown, w.VBox):
    """A question with choices, and a button that computes which one is right and why.

    solve: returns (the right choice, a sentence with the numbers it comes from); called when `check` is pressed, once.
    Attributes. choice, check, said.
    """

    def __init__(self, text: str, choices: Sequence[str], solve: Callable[[], tuple[str, str]]) -> None:
        self.solve, self._solved, self.text = solve, None, text
        self.choice = w.RadioButtons(options=list(choices), value=None, layout={"width": "auto"})
        self.check, self.said = w.Button(description="Check"), w.HTML()
        self.check.on_click(lambda _: self.answer())
        self.choice.observe(lambda _: setattr(self.said, "value", ""), "value")
        super().__init__([w.HTML(f"<b>Before you go on:</b> {html.escape(text)}"), self.choice, self.check, self.said,
                          Quiet()])

    def line(self) -> str:
        """Return the question and its choices."""
        return f"Before you go on: {self.text} {' / '.join(self.choice.options)} (run the notebook to choose and check)"

    def answer(self) -> None:
        """Say whether the choice is right, once something is chosen."""
        if self.choice.value is None:
            self.said.value = "Choose first; a guess is enough."
            return
        self.check.disabled, self.said.value = True, "computing ..."
        try:
            self._solved = self._solved or self.solve()
            right, why = self._solved
            told = "Right." if self.choice.value == right else f"No: {right}."
            self.said.value = f"<b>{html.escape(told)}</b> {html.escape(why)}"
        except Exception as error:  # nobody would see it in a callback
            self.said.value = html.escape(f"{type(error).__name__}: {error}")
        self.check.disabled = False


@or_say
def ask_what_a_tap_keeps(run: RunData) -> Question:
    """Ask how much of what a block computes for a clip its tap keeps."""
    live = backbone_of(run)
    side, grid = live.backbone.input_size // live.backbone.patch, run.config.grid
    tokens = side * side

    def solve() -> tuple[str, str]:
        steps, dim = live.recipe.clip_length // live.recipe.tubelet, live.recipe.dim
        right = choices[0] if grid >= side else choices[1] if grid * grid * 4 > tokens else choices[2]
        return right, (f"For one clip a block computes {steps} time steps x {side} x {side} tokens x {dim} channels = "
                       f"{steps * tokens * dim:,} numbers; the tap keeps {steps} x {grid} x {grid} x {dim} = "
                       f"{steps * grid * grid * dim:,}. What is lost is the place.")

    choices = ["all of it", "about half of it", "a quarter of it or less"]
    return Question("How much of the numbers that a block computes for one clip does its tap keep?", choices, solve)


@or_say
def ask_how_far(run: RunData, video: Video, tap: int, num_clips: int) -> Question:
    """Ask how many snippets the short range reaches."""
    if "short" not in spans(run.config.ranges) or not len(run.model.adapters):
        raise RunError(f"{run.name} has no short range to ask about")
    window = run.config.short_window

    def solve() -> tuple[str, str]:
        far = reach(sight(run, video, min(tap, len(run.model.adapters) - 1), num_clips)["short"])
        step = run.source(video).time_grid(video).snippet_seconds
        right = next((text for number, text in choices.items() if number == far), f"{far} snippets")
        return right, (f"Measured: {far} snippets = {far * step:.2f} s. The run's short_window is {window}; queries, "
                       "keys and values each go through a convolution of width 3 first, which carries one snippet "
                       "further to either side.")

    choices = {window - 1: f"{window - 1} snippets", window: f"{window} snippets, the run's short_window",
               window + 1: f"{window + 1} snippets", 10_000: "the whole window"}
    return Question("How far does the short range see to either side?", list(choices.values()), solve)


@or_say
def ask_which_range(run: RunData) -> Question:
    """Ask which range loses more mAP when it is closed."""
    ranges = spans(run.config.ranges)
    if len(ranges) < 2:
        raise RunError(f"{run.name} has one range alone, {ranges[0]}")

    def solve() -> tuple[str, str]:
        maps = 100 * average_map(run).mean(axis=1)
        lost = {name: maps[AS_TRAINED] - maps[f"no {name}"] for name in ranges}
        right = max(lost, key=lambda name: lost[name])
        return f"closing {right}", "; ".join(f"without {name} {maps[f'no {name}']:.1f} %, {value:.1f} points less" for
                                             name, value in lost.items()) + f" (as trained: {maps[AS_TRAINED]:.1f} %)."

    average_of = "Which range does this model lose more mAP without: its short or its long one?"
    return Question(average_of, [f"closing {name}" for name in ranges], solve)


@or_say
def ask_closed_or_never_there(run: Run) -> Question:
    """Ask whether a model with its gates closed is as good as one that never had adapters."""
    runs = beside_demo(run)
    if "head only" not in runs:
        raise RunError("there is no head-only run on the same data beside this one to compare with")

    def solve() -> tuple[str, str]:
        closed, alone = 100 * average_map(run).loc["none"].mean(), 100 * runs["head only"].result["average_map"]
        right = choices[0] if closed < alone - 1 else choices[2] if closed > alone + 1 else choices[1]
        return right, (f"all gates closed: {closed:.1f} %; the run head only: {alone:.1f} %. This head was trained on "
                       "the sum; without the adapters it gets features it has never seen. So closing a gate tells what "
                       "this model relies on, not what a range is worth.")

    choices = ["worse than the run head only", "as good, within a point", "better"]
    return Question("With all gates closed only the last layer is left. How good is that?", choices, solve)


@or_say
def ask_who_keeps_most(run: RunData, modes: Sequence[str], num_clips: int) -> Question:
    """Ask which way of adapting keeps most for the backward pass."""
    def solve() -> tuple[str, str]:
        kept = measure_steps(run, tuple(modes), num_clips).xs("kept", level=1)
        total, inside = kept.sum(axis=1), kept.drop(columns=["adapters", "head", "loss"]).sum(axis=1)
        told = "; ".join(f"{mode} {total[mode]:.1f} MiB, {inside[mode]:.1f} of it in the backbone" for mode in modes)
        return str(total.idxmax()), f"{told}."

    backbone_of(run)
    return Question("Which way of adapting has to remember most in a training step?", list(modes), solve)
