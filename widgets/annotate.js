const STATE = ["records", "changes", "undone", "made"], REACH = 6, PULL = 8; // pixels: of an edge, of what snaps
const TOOLS = [["in", "i", "mark where the next segment begins"], ["out", "o", "mark its end, which makes it"],
  ["split", "s", "split the selected segment at the playhead"], ["merge", "j", "join it with the next of its label"],
  ["delete", "Delete", "delete the selected segment"], ["accept", "a", "take the selected prediction as a label"],
  ["undo", "Ctrl+Z", "take the last change back"], ["redo", "Ctrl+Y", "do it again; also Ctrl+Shift+Z"]];
const HELP = [...TOOLS.map(([, key, what]) => [key, what]), ["[ ]", "move its start, its end to the playhead"],
  ["0 … 9", "1 to 9: class of the selected segment, else of the next one; 0, Home, End: the ends of the video"],
  ["c", "list of classes"], ["Escape", "drop the mark, the selection, this help"],
  ["drag", "an edge, a segment, or a new one; Alt: free of frames and neighbours"]];

// Rows for segments such that no two in a row overlap, by their starts.
function rowsOf(records) {
  const ends = [], rows = new Map();
  for (const record of [...records].sort((a, b) => a.segment[0] - b.segment[0] || a.id - b.id)) {
    const free = ends.findIndex((end) => end <= record.segment[0] + NUMBER), row = free < 0 ? ends.length : free;
    ends[row] = record.segment[1];
    rows.set(record.id, row);
  }
  return rows;
}

function annotated({ model, el }) {
  const lane = () => model.get("lanes")[0], labels = () => model.get("classes"), facts = new Set();
  const video = () => ({ duration: model.get("duration"), fps: model.get("fps") });
  const state = () => Object.fromEntries(STATE.map((name) => [name, model.get(name)]));
  let draft = null, kept = {}, pending = null, hold = null, listed = null, presses = 0, waiting = 0, view;
  const merged = () => { // the tracks with the lane as it is edited here; verdicts as Python last gave them
    const tracks = model.get("tracks"), records = draft ?? model.get("records");
    if (kept.tracks !== tracks || kept.records !== records) {
      const judged = new Map((tracks[lane()] ?? []).map((record) => [record.id, record])), rows = rowsOf(records);
      const drawn = records.map((record) => ({ score: 1, found: judged.get(record.id)?.found, ...record,
        verdict: judged.get(record.id)?.verdict, row: rows.get(record.id) }));
      const same = ({ id, label, segment }) => { const old = judged.get(id);
        return old && old.label === label && String(old.segment) === String(segment); };
      const stale = judged.size !== records.length || !records.every(same);
      kept = { tracks, records, stale, all: { ...tracks, [lane()]: drawn } };
    }
    return kept.all;
  };
  const both = (how) => (name, listener) => {
    model[how](name, listener);
    if (name === "change:tracks") { both(how)("change:records", listener); facts[how === "on" ? "add" : "delete"](listener); }
  };
  const isStale = () => Boolean(merged()) && kept.stale && model.get("has_truth");
  const layered = Object.assign(Object.create(model), { on: both("on"), off: both("off"), get: (name) => {
    if (name === "tracks") return merged();
    if (name !== "has_truth") return model.get(name); // a lane alone is the truth: no score, nothing to be judged
    return model.get("lanes").length < 2 || (model.get(name) && (model.get("live") || !isStale()));
  } });
  const redraw = () => facts.forEach((listener) => listener());
  const note = element("output", { class: "note", "aria-live": "polite" });
  const tell = (text) => { note.textContent = text; };
  const own = () => (model.get("selected")?.[0] === lane() ? view.record() : undefined);
  const know = (label) => { // a class that is new, or hidden, is shown from now on
    const [all, shown, palette] = [labels(), model.get("shown_classes"), model.get("palette")];
    if (!all.includes(label)) {
      model.set("classes", [...all, label]);
      model.set("colours", { ...model.get("colours"), [label]: palette[all.length % palette.length] });
    }
    if (!shown.includes(label)) model.set("shown_classes", [...shown, label]);
  };
  const edit = (op, by) => {
    const before = state();
    let after = before;
    draft = null;
    try { after = applied(before, { ...op, at: Date.now() / 1000, by, presses }, video()); }
    catch ({ message }) { tell(`Not done: ${message}.`); }
    if (STATE.every((name) => after[name] === before[name])) return redraw();
    if (op.label) know(op.label);
    const id = after.made > before.made ? after.made : op.id ?? own()?.id;
    for (const name of STATE) model.set(name, after[name]);
    if (op.what !== "accept" && (own() || op.what !== "undo")) {
      const index = after.records.findIndex((record) => record.id === id);
      model.set("selected", index < 0 ? null : [lane(), index]);
    }
    [presses, view.hovered] = [0, null];
    tell({ undo: "Undone.", redo: "Done again.", accept: `Accepted: ${op.label}.` }[op.what] ?? "");
    model.save_changes();
    clearTimeout(waiting);
    waiting = setTimeout(() => model.get("live") && isStale() && tell("Python does not answer: predictions are not "
      + "judged anew."), 4000);
  };
  const selected = (action) => (by) => (own() ? action(own(), by)
    : tell("Select a segment of the first lane first: n, p or a click."));
  const move = (edge) => selected(({ id, segment: [from, to] }, by) => ((edge ? view.bus.time > from : view.bus.time < to)
    ? edit({ what: "move_edge", id, edge, time: view.bus.time }, by) : tell("The playhead is on its other side.")));
  const accept = (by) => {
    const [name] = model.get("selected") ?? [], record = view.record();
    if (!record || name === lane()) return tell("Select a prediction first: ↓, n, or a click.");
    const label = labels().includes(record.label) ? record.label : chosen.value;
    return edit({ what: "accept", label, segment: record.segment, from: name }, by);
  };
  const mark = () => {
    pending = view.bus.time;
    view.set({ selected: null });
    tell(`Begins at ${clock(pending, video().duration, 2)}: press o at its end.`);
    redraw();
  };
  const close = (by) => {
    if (pending === null) return tell("Press i where it begins first.");
    const segment = [pending, view.bus.time], label = chosen.value;
    if (!label) return tell("Type the name of a class first.");
    pending = null;
    return edit({ what: "create", label, segment }, by);
  };
  const classify = (label, by) => {
    know(label);
    fillClasses();
    chosen.value = label;
    if (own() && pending === null) edit({ what: "relabel", id: own().id, label }, by);
    else { model.save_changes(); tell(`The next segment is ${label}.`); fill(); }
  };
  const digit = (number) => (labels()[number - 1] ? classify(labels()[number - 1], "key")
    : tell(`There are ${labels().length} classes: type a new one beside the list.`));
  const acts = { in: mark, out: close, merge: selected(({ id }, by) => edit({ what: "merge", id }, by)), accept,
    split: selected(({ id }, by) => edit({ what: "split", id, time: view.bus.time }, by)),
    delete: selected(({ id }, by) => edit({ what: "delete", id }, by)),
    undo: (by) => edit({ what: "undo" }, by), redo: (by) => edit({ what: "redo" }, by) };
  const focus = () => view.pane.focus({ preventScroll: true });
  const pressed = (action) => (event) => { action(event); if (event.detail) focus(); };
  const chosen = element("select", { "aria-label": "Class", onchange: () => { classify(chosen.value, "button"); focus(); } });
  const typed = element("input", { "aria-label": "New class", placeholder: "new class, Enter", size: 14,
    onkeydown: (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && typed.value.trim()) classify(typed.value.trim(), "key");
      if (event.key === "Enter" || event.key === "Escape") { typed.value = ""; focus(); }
    } });
  const tools = Object.fromEntries(TOOLS.map(([name, key, what]) => [name,
    button(name, `${what} (${key})`, pressed(() => acts[name]("button")))]));
  const put = (text, name) => {
    const link = element("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/plain" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  const download = () => {
    const id = model.get("video_id"), name = `${id.replace(/[^\w.-]+/g, "_") || "video"}_edited.json`;
    const lines = model.get("changes").map((change) => `${JSON.stringify({ video: id, ...change })}\n`);
    put(`${JSON.stringify(filled(model.get("document"), id, model.get("records"), labels()), null, 1)}\n`, name);
    put(lines.join(""), `${name}.changes.jsonl`);
    view.set({ saved: model.get("records") });
    tell(`Downloaded ${name} and its list of changes: put them beside the file that the labels came from.`);
  };
  const save = button("Save", "write a new file, and the list of changes beside it", pressed(() => {
    const unheard = () => tell("Python does not answer, nothing is saved: use Download.");
    clearTimeout(waiting);
    if (view.lost) return unheard();
    waiting = setTimeout(unheard, 5000);
    model.send({ kind: "save" });
  }));
  const load = button("Download", "the same files, by the browser", pressed(download));
  const count = element("output", { class: "count" });
  const fillClasses = () => {
    const all = labels();
    if (listed === all) return;
    listed = all;
    offer(chosen, all.map((label, i) => [label, i < 9 ? `${i + 1}  ${label}` : label]));
  };
  const fill = once(() => {
    fillClasses();
    const number = unsavedCount(model.get("records"), model.get("saved")), mine = Boolean(own());
    count.textContent = number ? `● ${number} unsaved change${number === 1 ? "" : "s"}` : "no unsaved changes";
    count.classList.toggle("soft", !number);
    if (mine) chosen.value = own().label;
    chosen.style.borderLeft = `8px solid ${model.get("colours")[chosen.value] ?? "transparent"}`;
    const can = { out: pending !== null, split: mine, merge: mine, delete: mine, accept: Boolean(view.record()) && !mine,
      undo: model.get("changes").length, redo: model.get("undone").length };
    for (const [name, is] of Object.entries(can)) tools[name].setAttribute("aria-disabled", String(!is));
    save.hidden = !model.get("live");
    tools.accept.hidden = model.get("lanes").length < 2;
  });
  // What is under the pointer in the first lane: a segment, maybe one of its edges, or nothing but a time.
  const grip = ({ offsetX, offsetY }) => {
    const [place] = view.lanes, { x, time } = scale(view.bus.span, view.canvas.clientWidth);
    if (offsetY < place.from || offsetY >= place.from + place.rows * place.high) return null;
    const row = Math.floor((offsetY - place.from) / place.high), id = own()?.id;
    const near = place.shown.filter(({ record, start, end }) => record.row === row && offsetX >= x(start) - REACH / 2
      && offsetX <= x(end) + REACH / 2); // outside of it less: there the next one begins
    const item = near.find(({ record }) => record.id === id) ?? near.at(-1), at = time(offsetX);
    if (!item) return { at };
    const from = x(item.start), to = x(item.end), reach = Math.min(REACH, (to - from) / 4);
    return { at, item, edge: offsetX < from + reach ? 0 : offsetX > to - reach ? 1 : null };
  };
  const held = (event) => { // the operation that a drag stands for by now
    const { time } = scale(view.bus.span, view.canvas.clientWidth), { at, item, edge, playhead } = hold;
    const snaps = { playhead, free: event.altKey, within: time(PULL) - time(0) }, now = time(event.offsetX);
    if (!item) return { what: "create", label: chosen.value, segment: [at, now], ...snaps };
    if (edge !== null) return { what: "move_edge", id: item.record.id, edge, time: item.record.segment[edge] + now - at, ...snaps };
    return { what: "move", id: item.record.id, time: item.start + now - at, ...snaps };
  };
  const pointers = {
    pointerdown: (event) => {
      const under = event.button ? null : grip(event);
      if (!under) return;
      event.stopPropagation();
      view.canvas.setPointerCapture(event.pointerId);
      hold = { ...under, x: event.clientX, moved: false, playhead: view.bus.time };
    },
    pointermove: (event) => {
      const over = hold ?? grip(event);
      view.canvas.style.cursor = !over?.item ? "" : over.edge === null ? "grab" : "ew-resize";
      if (!hold) return;
      event.stopPropagation();
      hold.moved ||= Math.abs(event.clientX - hold.x) > 3;
      if (!hold.moved) return;
      const op = held(event);
      let record;
      try { // too short yet, a new one changes nothing
        const { records, made } = applied(state(), op, video());
        [draft, record] = [records, records.find(({ id }) => id === (op.id ?? made))];
      } catch { return; }
      if (record) view.bus.seek(record.segment[op.edge ?? (op.what === "create" && event.clientX > hold.x ? 1 : 0)]);
      redraw();
    },
    pointerup: (event) => {
      if (!hold) return;
      const { moved, item, at } = hold, op = held(event);
      event.stopPropagation();
      hold = null;
      if (moved && op.label === "") { draft = null; tell("Type the name of a class first."); redraw(); }
      else if (moved) edit(op, "mouse");
      else if (item) view.choose.go([lane(), item.index]);
      else view.bus.seek(clamp(at, 0, video().duration));
    },
    pointercancel: () => { hold = draft = null; redraw(); },
  };
  const draw = (c, width, theme) => {
    const { x } = scale(view.bus.span, width), [place] = view.lanes, id = own()?.id;
    const item = place.shown.find(({ record }) => record.id === id);
    [c.globalAlpha, c.strokeStyle, c.lineWidth] = [1, theme.back, 1];
    const [left, wide] = item ? [x(item.start), Math.max(x(item.end) - x(item.start), 2)] : [0, 0];
    const top = place.from + (item?.record.row ?? 0) * place.high, high = Math.max(place.high - 2, 2);
    c.fillStyle = view.colours[item?.record.label] ?? "#777777";
    if (wide < 12) c.fillRect(left, top, wide, high); // over its outline, so that a few pixels of it are seen, too
    c.fillStyle = theme.accent;
    for (const at of item ? [left - 5, left + wide + 1] : []) { // the handles, beside it
      c.fillRect(at, top - 2, 4, high + 4);
      c.strokeRect(at, top - 2, 4, high + 4);
    }
    if (pending === null) return;
    c.fillRect(x(pending) - 1, place.from - 3, 2, place.rows * place.high + 6);
    c.fillRect(x(pending), place.from - 3, 8, 3);
  };
  const end = render({ model: layered, el }, (made) => {
    view = made;
    const byKey = TOOLS.map(([name, key]) => [key, () => acts[name]("key")]), digits = [..."123456789"];
    for (const [name, listener] of Object.entries(pointers)) view.canvas.addEventListener(name, listener);
    return { help: HELP, draw, nodes: element("div", { class: "row tools" }, chosen, typed, Object.values(tools), save, load,
      count, note), keys: { ...Object.fromEntries([...byKey, ...digits.map((key) => [key, () => digit(Number(key))])]),
      Backspace: () => acts.delete("key"), "[": () => move(0)("key"), "]": () => move(1)("key"), c: () => chosen.focus() } };
  });
  view.root.addEventListener("keydown", (event) => {
    if (!event.repeat && !/^(Shift|Control|Alt|Meta)$/.test(event.key)) presses += 1;
    if (event.target === typed) return;
    const key = event.key.toLowerCase(), isUndo = (event.ctrlKey || event.metaKey) && "zy".includes(key) && !event.altKey;
    if (isUndo) { event.preventDefault(); acts[key === "y" || event.shiftKey ? "redo" : "undo"]("key"); }
    if (event.key === "Escape") { [pending, hold, draft] = [null, null, null]; view.set({ selected: null }); redraw(); fill(); }
  }, true);
  view.root.addEventListener("pointerdown", () => { presses += 1; }, true);
  const heard = { "change:answer": () => { clearTimeout(waiting); tell(model.get("answer").text); } };
  for (const name of ["records", "saved", "classes", "selected", "lanes", "changes"]) heard[`change:${name}`] = fill;
  for (const [name, listener] of Object.entries(heard)) model.on(name, listener);
  const leave = (event) => { // without a kernel, what is not downloaded would be lost
    if ((view.lost || !model.get("live")) && unsavedCount(model.get("records"), model.get("saved"))) event.preventDefault();
  };
  globalThis.addEventListener("beforeunload", leave);
  fill();
  return () => {
    end();
    clearTimeout(waiting);
    globalThis.removeEventListener("beforeunload", leave);
    for (const [name, listener] of Object.entries(heard)) model.off(name, listener);
  };
}

export default { render: (context) => annotated(context) };
