const ROW = 18, MOST = 90, TITLE = 17; // pixels: a row of a lane, all rows of a lane, its name above it
const SPEEDS = [0.25, 0.5, 0.75, 1, 1.5, 2, 3], IDLE = "Click a segment to play it; press ? for the keys.";
const KEYS = [["Space k", "play, pause"], [", .", "one frame back, on"], ["← →", "1 s; with Shift 5 s"],
  ["0 … 9", "0 to 90 % of the video; Home, End: its ends"],
  ["n p", "next, previous segment of the lane"], ["↑ ↓", "lane above, below"],
  ["e", "next error: wrong prediction, missed action"], ["Enter", "play the selected segment"],
  ["l", "loop the selected segment"], ["+ = −", "faster, slower"], ["z x", "zoom in, out; also the wheel"],
  ["Page ↑ ↓", "earlier, later; also a drag"], ["f", "the whole video; also a double click"], ["m", "mute"],
  ["?", "this help; Escape closes it"]];
const NUMBER = 1e-9;
const pace = (model) => clamp(model.get("speed"), 0.0625, 16); // browsers refuse less and more
const isRight = (record) => record.verdict === "true positive", isVoid = (record) => record.verdict === "left out";
const isWrong = (record) => !isRight(record) && !isVoid(record);
// A score as Python's `precise` writes it: rounded down, so that a threshold of that shows it.
const precise = (score, digits = score >= 0.01 ? 2 : 3) =>
  (Math.floor(score * 10 ** digits + 1e-9) / 10 ** digits).toFixed(digits);
const percent = (value) => (typeof value === "number" ? `${(100 * value).toFixed(1)} %` : "–");

// The lanes from the top, each with its place in pixels and the records shown in it: those of the shown classes that
// reach the threshold, in order of time.
function laidOut(model) {
  const least = model.get("min_score") - NUMBER, classes = new Set(model.get("shown_classes"));
  const hasTruth = model.get("has_truth");
  let top = 0, truth = 0;
  return model.get("lanes").map((name, lane) => {
    const records = model.get("tracks")[name] ?? [], isTruth = hasTruth && !lane, judged = hasTruth && lane > 0;
    const shown = records.map((record, index) => ({ record, index, start: record.segment[0], end: record.segment[1] }))
      .filter(({ record }) => classes.has(record.label) && (isTruth || record.score >= least))
      .sort((a, b) => a.start - b.start || a.end - b.end);
    const [right, wrong] = [isRight, isWrong].map((is) => shown.filter(({ record }) => is(record)).length);
    const rows = shown.reduce((most, { record }) => Math.max(most, record.row + 1), 1), from = top + TITLE;
    const high = Math.min(ROW, MOST / rows);
    top = from + rows * high + 4;
    const number = shown.filter(({ record }) => !record.ambiguous).length;
    if (isTruth) truth = number;
    const told = judged ? `${right} of ${truth} found, ${wrong} wrong` : `${number} segment${number === 1 ? "" : "s"}`;
    const best = isTruth || shown.length ? 0 : records.reduce((most, { label, score }) =>
      (classes.has(label) ? Math.max(most, score) : most), 0);
    const hides = best > 0 ? `; nothing above ${(least + NUMBER).toFixed(2)}, the best is ${
      precise(best)}` : "";
    return { name, lane, isTruth, judged, shown, rows, high, from, told: told + hides };
  });
}

// Names of the tracks that find this ground truth at the threshold: all of them if it is ambiguous.
const finders = (model, record) => (record.ambiguous ? model.get("lanes") : Object.entries(record.found ?? {})
  .filter(([, score]) => score >= model.get("min_score") - NUMBER).map(([name]) => name));

// A record in words: what, when, how sure, and why it is right or wrong.
function described(model, [name, index]) {
  const [first, ...others] = model.get("lanes"), tracks = model.get("tracks"), record = tracks[name]?.[index];
  const hasTruth = model.get("has_truth");
  if (!record) return "";
  const span = (segment) => segment.map((time) => clock(time, model.get("duration"), 2)).join(" – ");
  const other = tracks[first][record.other], found = finders(model, record);
  const near = other ? `${other.label}, ${span(other.segment)}, tIoU ${record.tiou.toFixed(2)}` : "";
  const missed = others.filter((track) => !found.includes(track)).join(", ");
  const why = {
    "true positive": `Right: finds ${near}`,
    "double detection": `Wrong, double detection: a prediction with a higher score finds ${near}`,
    "wrong label": `Wrong label: here is ${near}`,
    localisation: `Wrong, localisation: right label, boundaries too far off (${model.get("tiou")} needed): ${near}`,
    confusion: `Wrong, confusion: neither label nor boundaries fit, nearest is ${near}`,
    background: `Wrong, background: no action is labelled here${near && `, nearest is ${near}`}`,
    ambiguous: "Ambiguous: belongs to no class and counts for nothing",
    "left out": `Counts for nothing: it touches an ambiguous stretch${near && `, nearest is ${near}`}`,
  }[record.verdict] ?? [found.length && `Found by ${found.join(", ")}`, missed && `Missed by ${missed}`];
  const score = name === first && (hasTruth || record.id) ? "" : `, score ${record.score.toFixed(2)}`;
  const what = `${name}: ${record.label}, ${span(record.segment)}${score}`;
  return [what, hasTruth && why].flat().filter(Boolean).join(". ") + ".";
}

// Average mAP of the shown classes at the score threshold, looked up as Python's `live_map` does.
function lookedUp(model, table) {
  const at = table?.thresholds.findIndex((t) => t >= model.get("min_score") - NUMBER);
  const shown = new Set(model.get("shown_classes")), rows = Object.entries(table?.average ?? {});
  const values = rows.filter(([label]) => shown.has(label)).map(([, row]) => row.at(at));
  return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
}

function hatched(view, context, colour) {
  if (view.hatches[colour]) return view.hatches[colour];
  const tile = element("canvas", { width: 6, height: 6 }), c = tile.getContext("2d");
  [c.strokeStyle, c.lineWidth] = [colour, 1.6];
  for (const x of [-6, 0, 6]) { c.moveTo(x - 1, 7); c.lineTo(x + 7, -1); }
  c.stroke();
  return (view.hatches[colour] = context.createPattern(tile, "repeat"));
}

const inkOn = (colour, alpha = 1, under = "#000000") => { // black or white, as `widgets.figures.ink_on`
  const [r, g, b] = [1, 3, 5].map((i) => [colour, under].map((one) => parseInt(one.slice(i, i + 2), 16) / 255))
    .map(([over, below]) => alpha * over + (1 - alpha) * below)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000000" : "#ffffff";
};

// One segment as a bar: full where it is right, hatched with an outline where it is wrong, only the outline where it
// counts for nothing; its label where it fits.
function drawBar(view, c, record, wrong, [x, y, wide, high], theme) {
  const colour = view.colours[record.label] ?? "#777777", alpha = 0.3 + 0.7 * clamp(record.score, 0, 1);
  if (theme.dark && wide > 3) { // dark colours need an edge there
    [c.globalAlpha, c.strokeStyle, c.lineWidth] = [1, theme.soft, 1];
    c.strokeRect(x - 0.5, y - 0.5, wide + 1, high + 1);
  }
  [c.globalAlpha, c.fillStyle] = [alpha, isVoid(record) ? theme.card : wrong ? hatched(view, c, colour) : colour];
  c.fillRect(x, y, wide, high);
  if (wrong && wide > 3) {
    [c.strokeStyle, c.lineWidth] = [colour, 1.5];
    c.strokeRect(x + 0.75, y + 0.75, wide - 1.5, high - 1.5);
  }
  if (!view.widths.has(record.label)) view.widths.set(record.label, c.measureText(record.label).width);
  const room = view.widths.get(record.label);
  if (high < 12 || room + 8 > wide) return;
  if (wrong) {
    [c.globalAlpha, c.fillStyle] = [0.85, theme.back];
    c.fillRect(x + (wide - room) / 2 - 3, y + 2, room + 6, high - 4);
  }
  [c.globalAlpha, c.fillStyle] = [1, wrong ? theme.ink : inkOn(colour, alpha, theme.card)];
  c.fillText(record.label, x + (wide - room) / 2, y + high / 2 + 1);
}

function drawLane(view, c, { name, isTruth, judged, shown, rows, high, from: top, told }, width, theme) {
  const { model, bus: { span } } = view, { x } = scale(span, width), several = view.lanes.length > 1;
  const is = (at, index) => at?.[0] === name && at[1] === index, bold = "600 11px system-ui, sans-serif";
  [c.globalAlpha, c.fillStyle, c.font] = [1, theme.back, bold];
  c.fillRect(0, top - TITLE + 1, width, TITLE - 2);
  const title = Math.min(c.measureText(name).width, width * 0.6), mark = model.get("run_colours")[name];
  const left = mark ? 15 : 2;
  if (mark) { c.fillStyle = mark; c.fillRect(2, top - 13, 9, 9); }
  c.fillStyle = theme.ink;
  c.fillText(name, left, top - 8, title);
  [c.fillStyle, c.font] = [theme.soft, bold.slice(4)];
  c.fillText(told, left + title + 10, top - 8);
  c.fillStyle = theme.card;
  c.fillRect(0, top, width, rows * high);
  for (const { record, index, start, end } of shown) {
    if (end < span[0] || start > span[1]) continue;
    const a = Math.max(x(start), -4), wide = Math.max(Math.min(x(end), width + 4) - a, 1.5);
    const box = [a, top + record.row * high, wide, high - Math.min(2, high / 4)];
    drawBar(view, c, record, judged && !isRight(record), box, theme);
    const isSelected = is(model.get("selected"), index), missed = isTruth && several && !finders(model, record).length;
    if (!isSelected && !missed && !is(view.hovered, index)) continue;
    const dashed = missed && !isSelected;
    [c.globalAlpha, c.strokeStyle, c.lineWidth] = [1, dashed ? theme.ink : theme.accent, isSelected ? 3 : 2];
    c.setLineDash(dashed ? [4, 3] : []);
    c.strokeRect(...box);
    c.setLineDash([]);
  }
}

function drawLanes(view) {
  const { model, bus, lanes } = view, last = lanes.at(-1), below = last.from + last.rows * last.high + 6, theme = {};
  const { context: c, width } = sheet(view.canvas, below + 18), { x } = scale(bus.span, width);
  for (const name of ["ink", "soft", "line", "back", "card", "accent"]) theme[name] = themed(view.root, `--${name}`);
  theme.dark = inkOn(theme.back) === "#ffffff";
  [c.globalAlpha, c.font, c.textBaseline, c.textAlign] = [1, "11px system-ui, sans-serif", "middle", "center"];
  c.fillStyle = theme.soft;
  const { step, times } = marks(bus.span, Math.max(width / 90, 2));
  for (const at of times) {
    c.fillRect(x(at), 0, 0.5, below + 3);
    const text = clock(at, model.get("duration"), step < 1 ? 1 : 0);
    if (x(at) > 22 && x(at) < width - 22) c.fillText(text, x(at), below + 10);
  }
  c.textAlign = "left";
  for (const lane of lanes) drawLane(view, c, lane, width, theme);
  view.more.draw?.(c, width, theme);
}

function drawOverview(view) {
  const { context: c, width, height } = sheet(view.overview, 30), { x } = scale([0, view.model.get("duration")], width);
  const band = height / view.lanes.length;
  for (const { lane, shown } of view.lanes) {
    for (const { record, start, end } of shown) {
      [c.globalAlpha, c.fillStyle] = [0.3 + 0.7 * clamp(record.score, 0, 1), view.colours[record.label] ?? "#777777"];
      c.fillRect(x(start), lane * band + 1, Math.max(x(end) - x(start), 1), band - 2);
    }
  }
}

// What a video's address lacks, "" where it sends one: a file that is gone or empty is no matter of its format. A page
// that is a file may not ask; there Chromium's message differs where it got nothing to look at.
async function lacking(url, message) {
  const gone = "is not there: was it moved or renamed?", empty = "is empty (0 bytes): was it copied in full?";
  if (url.startsWith("file:")) return message?.endsWith(": Format error") ? `${gone.slice(0, -1)}, or is it empty?` : "";
  if (!url.startsWith("http")) return "";
  const answer = await fetch(url, { method: "HEAD" }).catch(() => null);
  if (!answer) return "cannot be reached: does its server still run?";
  if (!answer.ok) return answer.status === 404 ? gone : `is not sent by its server (status ${answer.status})`;
  return answer.headers.get("content-length") === "0" ? empty : "";
}

// The <video>, or a strip of pictures in its place.
function player(view) {
  const { model, bus } = view, stage = element("div", { class: "stage" });
  const told = element("p", { class: "soft problem" });
  const video = element("video", { playsinline: true, preload: "auto", tabindex: "-1", "aria-label": "Video" });
  const duration = () => model.get("duration"), frame = () => 1 / (model.get("fps") || 25), urls = [];
  let until = null;
  const blob = (bytes, type) => { urls.push(URL.createObjectURL(new Blob([bytes], { type }))); return urls.at(-1); };
  const at = (time) => { // the middle of the frame there, so that it is this frame
    const middle = model.get("fps") ? (Math.floor(time / frame() + 1e-6) + 0.5) * frame() : time;
    return Math.min(middle, (video.duration || Infinity) - 1e-3);
  };
  const play = (segment = null) => {
    if (video.hidden) return;
    if (!segment && bus.time > duration() - 1.5 * frame()) bus.seek(0);
    until = segment ? segment[1] : null;
    video.play().catch((error) => { if (error.name !== "AbortError") told.textContent = error.message; });
  };
  const toggle = () => (video.paused ? play() : video.pause());
  const look = () => { // at every picture, and at `timeupdate`, which comes where a page is hidden or draws late, too
    if (video.paused || video.seeking) return;
    const now = video.currentTime, chosen = model.get("loop") ? view.record()?.segment : null, [start, end] = bus.span;
    if (chosen && now >= chosen[1]) return bus.seek(chosen[0]);
    if (until !== null && now >= until) video.pause();
    if (now > end && now < duration()) bus.zoom(...panned([start, end], now - start, duration()));
    bus.move(now);
  };
  const tick = () => { if (!video.paused && video.isConnected) { requestAnimationFrame(tick); look(); } };
  const state = () => { view.button.textContent = video.paused ? "▶ Play" : "❚❚ Pause"; };
  const strip = () => {
    const pictures = video.hidden ? model.get("poster") : [], name = (time) => clock(time, duration());
    if (video.hidden && view.moving.includes(document.activeElement)) view.pane.focus(); // what is hidden loses it
    for (const node of view.moving) node.hidden = video.hidden;
    stage.replaceChildren(video, ...pictures.map(({ time, jpeg }) => element("button", { type: "button", class: "still",
      title: `to ${name(time)}`, onclick: () => bus.seek(time) },
    element("img", { src: blob(jpeg, "image/jpeg"), alt: `frame at ${name(time)}` }))));
  };
  const load = () => {
    urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
    const { kind, path, message } = model.get("source"), bytes = model.get("video_bytes");
    const root = JSON.parse(document.getElementById("jupyter-config-data")?.textContent || "{}").baseUrl ?? "/";
    const url = kind === "files" ? `${root}files/${path}` : kind === "link" ? path
      : kind === "bytes" && bytes?.byteLength ? blob(bytes, "video/mp4") : "";
    const asked = kind === "bytes" && !url && model.get("live") && !view.lost; // a notebook keeps no bytes
    if (asked) model.send({ kind: "video" });
    [video.hidden, told.textContent] = [!url, url || asked ? "" : view.lost && kind === "bytes" ? LOST : message ?? ""];
    video.preload = kind === "link" ? "metadata" : "auto"; // a page may link to large files
    if (url) video.src = url;
    else video.removeAttribute("src");
    strip();
  };
  const failed = async () => {
    const { kind, path, message } = model.get("source"), url = video.src;
    [video.hidden, told.textContent] = [true, message || "This browser cannot play this video."];
    if (model.get("live") && !view.lost) model.send({ kind: "poster" });
    strip();
    const lack = kind === "bytes" ? "" : await lacking(url, video.error?.message);
    if (lack && video.src === url) told.textContent = `${decodeURIComponent(path.split("/").at(-1))} ${lack}`;
  };
  const paused = () => { // to the segment's end, too, where the browser looked late
    state();
    if (video.paused) bus.seek(Math.min(video.currentTime, until ?? Infinity, duration()));
  };
  const ready = () => { video.playbackRate = pace(model); video.currentTime = at(bus.time); };
  const ended = () => model.get("loop") && view.record() && bus.seek(view.record().segment[0], true);
  const heard = { play: () => { state(); tick(); }, pause: paused, timeupdate: look, ended, emptied: state,
    loadedmetadata: ready, error: failed, click: toggle };
  for (const [name, listener] of Object.entries(heard)) video.addEventListener(name, listener);
  const close = () => {
    for (const [name, listener] of Object.entries(heard)) video.removeEventListener(name, listener);
    video.pause();
    video.removeAttribute("src");
    urls.forEach((url) => URL.revokeObjectURL(url));
  };
  const hear = (what) => {
    if (what === "seek") [until, video.currentTime] = [null, at(bus.time)];
    if (what === "play") play([bus.time, bus.until]);
  };
  return { nodes: [stage, told], video, load, strip, play, toggle, frame, hear, close };
}

// Chooses segments, by pixel or one after the other. `go` selects one and goes to its start, and plays it if wanted.
function chooser(view) {
  const { model, bus } = view, lane = () => view.lanes.find(({ name }) => name === model.get("selected")?.[0])
    ?? view.lanes[view.lane] ?? view.lanes[0];
  const go = ([name, index], play = false) => {
    const { segment } = model.get("tracks")[name][index];
    view.lane = model.get("lanes").indexOf(name);
    view.set({ selected: [name, index] });
    bus.seek(segment[0]);
    if (play) view.player.play(segment);
  };
  const next = (items, by) => { // from the selected one where the playhead is in it, else from the playhead
    const [name, index] = model.get("selected") ?? [], [start, end] = view.record()?.segment ?? [];
    const isInside = start <= bus.time + 0.05 && bus.time <= end + 0.1;
    const at = isInside ? items.findIndex((item) => item.name === name && item.index === index) : -1;
    const target = at >= 0 ? items[at + by] : by > 0 ? items.find((item) => item.start > bus.time - 1e-6)
      : items.findLast((item) => item.start < bus.time + 1e-6);
    if (target) go([target.name, target.index]);
    else view.say(items.length ? `No ${by > 0 ? "later" : "earlier"} one.` : "None is shown.");
  };
  const named = ({ name }, shown) => shown.map(({ index, start }) => ({ name, index, start }));
  const step = (by) => next(named(lane(), lane().shown), by);
  const error = () => { // of the track that was last looked at, at first the lowest
    const [truth] = view.lanes, track = view.lanes[view.judged] ?? view.lanes.at(-1);
    if (!track.judged) return;
    const missed = truth.shown.filter(({ record }) => !finders(model, record).includes(track.name));
    const wrong = track.shown.filter(({ record }) => isWrong(record));
    next([...named(truth, missed), ...named(track, wrong)].sort((a, b) => a.start - b.start), 1);
  };
  const beside = (by) => {
    const to = view.lanes[clamp(lane().lane + by, 0, view.lanes.length - 1)];
    const far = ({ start }) => Math.abs(start - bus.time);
    const nearest = to.shown.reduce((best, item) => (best && far(best) <= far(item) ? best : item), null);
    if (nearest) return go([to.name, nearest.index]);
    view.lane = to.lane;
    view.set({ selected: null });
    view.say(`${to.name}: none is shown.`);
  };
  const under = (x, y) => {
    const place = view.lanes.find(({ from, rows, high }) => y >= from && y < from + rows * high);
    const row = place && Math.floor((y - place.from) / place.high), { time } = scale(bus.span, view.canvas.clientWidth);
    const hit = place?.shown.findLast(({ record, start, end }) => record.row === row && start <= time(x + 2)
      && end >= time(x - 2));
    return hit ? [place.name, hit.index] : null;
  };
  return { go, step, error, beside, under };
}

// Sliders, chips and the table of live mAP. Soft-NMS asks Python, one question at a time, the latest wins.
function settings(view) {
  const { model, set } = view, chips = element("div", { class: "row chips", role: "group", "aria-label": "Classes" });
  const slider = (name, label, given) => {
    const shown = element("output"), input = element("input", { type: "range", "aria-label": label, ...given });
    const fill = () => { [input.value, shown.textContent] = [model.get(name), model.get(name).toFixed(2)]; };
    return { node: element("label", { class: "row" }, label, input, shown), input, shown, fill };
  };
  let busy = false, waiting = null, later = 0;
  const send = (question) => { busy = true; model.send(question); };
  const ask = (whole) => {
    const question = { kind: "suppress", sigma: Number(sigma.input.value), data_set: whole };
    sigma.shown.textContent = question.sigma.toFixed(2);
    if (busy) waiting = question;
    else send(question);
  };
  const least = slider("min_score", "score at least", { min: 0, max: 1, step: 0.01,
    oninput: ({ target }) => set({ min_score: Number(target.value) }) });
  const sigma = slider("sigma", "soft-NMS sigma", { min: 0.05, max: 2, step: 0.05, oninput: () => ask(false),
    onchange: () => { clearTimeout(later); later = setTimeout(() => ask(true), 300); } });
  const progress = element("progress", { max: 1, value: 0, "aria-label": "mAP of the data set", hidden: true });
  const maps = element("table", { class: "maps" }), all = () => Object.keys(model.get("colours"));
  const hear = ({ kind, done, failed }) => {
    if (failed) view.say(failed);
    [progress.hidden, progress.value] = [kind === "done", done ?? 0];
    if (kind === "done") busy = false;
    if (!busy && waiting) { send(waiting); waiting = null; }
  };
  const tables = () => {
    const ap = model.get("ap"), names = model.get("lanes").filter((name) => ap[name]);
    const row = (tag, ...cells) => element("tr", {}, cells.map((text) => element(tag, {}, text)));
    const found = (name) => ["video", "data"].map((kind) => percent(lookedUp(model, ap[name][kind])));
    maps.hidden = !names.length;
    const few = model.get("shown_classes").length < all().length ? ", of the classes shown" : "";
    const what = `average mAP, score ≥ ${model.get("min_score").toFixed(2)}${few}`;
    maps.replaceChildren(row("th", what, "this video", "data set"),
      ...names.map((name) => row("td", [dot(model.get("run_colours")[name]), name], ...found(name))));
  };
  const toggle = (label, only) => {
    const shown = new Set(only ? [label] : model.get("shown_classes"));
    if (!only && !shown.delete(label)) shown.add(label);
    set({ shown_classes: all().filter((one) => shown.has(one)) });
  };
  const classes = () => { // chips stay while the labels do, and with them the focus
    const used = new Set(Object.values(model.get("tracks")).flatMap((records) => records.map((r) => r.label)));
    const colours = Object.entries(model.get("colours")).filter(([label]) => used.has(label));
    const shown = new Set(model.get("shown_classes")), key = JSON.stringify(colours);
    if (key !== chips.losaKey) {
      if (chips.contains(document.activeElement)) view.pane.focus();
      chips.losaKey = key;
      chips.replaceChildren(...colours.map(([label, colour]) => button([dot(colour), label],
        "hide or show; with Shift: this one only", (event) => toggle(label, event.shiftKey),
        { class: "chip", "data-label": label })), button("all", "show all classes", () => set({ shown_classes: all() })));
    }
    chips.querySelectorAll(".chip").forEach((chip) => chip.setAttribute("aria-pressed", shown.has(chip.dataset.label)));
  };
  const fill = () => {
    least.fill();
    least.node.hidden = view.lanes.every(({ isTruth }) => isTruth);
    if (!busy) sigma.fill();
    sigma.node.hidden = !(model.get("live") && model.get("suppressible"));
    tables();
    classes();
  };
  const sliders = element("div", { class: "sliders" }, least.node, sigma.node, progress);
  const lose = (lost) => { // a question on its way gets no answer any more
    sigma.input.disabled = lost;
    if (lost) [busy, waiting, progress.hidden] = [false, null, true];
  };
  return { side: [sliders, maps], chips, fill, hear, lose };
}

// The overview of the whole video with a window, the visible span: drag it, pull its ends, or click elsewhere.
function overview(view) {
  const { model, bus } = view, pane = element("div", { class: "pane" }), head = element("div", { class: "head" });
  view.overview = element("canvas", { "aria-hidden": "true" });
  const node = element("div", { class: "overview", title: "the whole video: drag the window or its ends" },
    view.overview, pane, head), duration = () => model.get("duration");
  const time = (pixels) => (pixels / node.clientWidth) * duration();
  let held = null;
  node.addEventListener("pointerdown", (event) => {
    const at = time(event.clientX - node.getBoundingClientRect().left), [start, end] = bus.span;
    const near = Math.min(time(6), (end - start) / 4); // a narrow window is dragged, not pulled
    if (event.button) return;
    node.setPointerCapture(event.pointerId);
    if (at < start - near || at > end + near) bus.zoom(...panned(bus.span, at - (start + end) / 2, duration()));
    const edge = Math.abs(at - start) <= near ? 0 : Math.abs(at - end) <= near ? 1 : -1;
    held = { x: event.clientX, span: [...bus.span], edge };
  });
  node.addEventListener("pointermove", (event) => {
    if (!held) return;
    const by = time(event.clientX - held.x), [start, end] = held.span, least = Math.min(0.25, duration());
    if (held.edge < 0) bus.zoom(...panned(held.span, by, duration()));
    else if (held.edge) bus.zoom(start, clamp(end + by, start + least, duration()));
    else bus.zoom(clamp(start + by, 0, end - least), end);
  });
  for (const name of ["pointerup", "pointercancel"]) node.addEventListener(name, () => { held = null; });
  node.addEventListener("dblclick", () => bus.zoom(0, duration()));
  const place = () => {
    const [left, right] = bus.span.map((at) => (100 * at) / duration());
    [pane.style.left, pane.style.width] = [`${left}%`, `${right - left}%`];
    head.style.transform = `translateX(${(bus.time / duration()) * node.clientWidth}px)`;
  };
  return { node, place };
}

// What each key does.
function actions(view, choose, loop, help) {
  const { model, bus, player: { toggle, video, frame } } = view, duration = () => model.get("duration");
  const go = (time) => bus.seek(clamp(time, 0, duration()));
  const step = (by) => go((Math.floor(Math.min(bus.time, duration() - 1e-6) / frame() + 1e-6) + by) * frame());
  const still = (by) => { video.pause(); step(by); };
  const pan = (by) => bus.zoom(...panned(bus.span, by * (bus.span[1] - bus.span[0]), duration()));
  const faster = (by) => view.set({ speed: SPEEDS[clamp(SPEEDS.findLastIndex((x) => x <= pace(model)) + by, 0, 6)] });
  return { ...timeKeys(bus, duration, go, still), " ": toggle, k: toggle, ArrowUp: () => choose.beside(-1),
    ArrowDown: () => choose.beside(1), n: () => choose.step(1), p: () => choose.step(-1), e: choose.error,
    l: () => loop.click(), Enter: () => view.record() && choose.go(model.get("selected"), true), "+": () => faster(1),
    PageUp: () => pan(-0.5), PageDown: () => pan(0.5), "=": () => faster(1), "-": () => faster(-1),
    m: () => { video.muted = !video.muted; }, Home: () => go(0), End: () => go(duration()),
    "?": () => { help.hidden = !help.hidden; }, Escape: () => { help.hidden = true; } };
}

// `extend(view)` may add to a timeline: { keys: {key: f}, help: [[key, what]] (in place of a row of the same key), nodes
// above the lanes, draw(context, width, theme) over them }. What it does on presses it does by listeners of view.canvas.
function render({ model, el }, extend = () => ({})) {
  const view = { model, bus: shared(model), hatches: {}, widths: new Map(), lane: 0, hovered: null };
  const { bus } = view, duration = () => model.get("duration");
  view.set = (values) => put(model, values);
  view.record = () => { const [name, at] = model.get("selected") ?? []; return model.get("tracks")[name]?.[at]; };
  const playing = view.player = player(view), choose = view.choose = chooser(view);
  const strip = overview(view), options = settings(view);
  const help = element("table", { class: "help", hidden: true });
  const speed = element("select", { "aria-label": "Speed", onchange: () => view.set({ speed: Number(speed.value) }) },
    SPEEDS.map((value) => element("option", { value }, `${value}×`)));
  const loop = button("loop", "loop the selected segment (l)", () => view.set({ loop: !model.get("loop") }));
  view.button = button("▶ Play", "play or pause (Space)", playing.toggle, { class: "play" });
  view.moving = [view.button, loop, speed];
  const title = element("div", { class: "title" }), readout = readoutLine();
  const time = element("output", { class: "clock", "aria-live": "off" }), head = element("div", { class: "head" });
  const option = element("span", { class: "hidden", role: "option", id: `losa-${Math.random()}`.replace(".", "") });
  view.canvas = element("canvas", { "aria-hidden": "true" });
  const pane = view.pane = element("div", { class: "lanes", tabindex: "0", role: "listbox", "aria-label": "Segments",
    "aria-activedescendant": option.id }, view.canvas, head, option);
  const whole = button("", "full screen; Escape ends it", () => {
    if (document.fullscreenElement === root) document.exitFullscreen();
    else root.requestFullscreen().catch(({ message }) => view.say(message));
    pane.focus();
  }, { "aria-label": "Full screen", class: "whole", hidden: !document.fullscreenEnabled });
  const error = button("next error", "wrong prediction or missed action (e)", choose.error);
  const row = element("div", { class: "row" }, view.button, time, error, loop, speed,
  button("?", "keys (?)", () => { help.hidden = !help.hidden; }, { "aria-label": "Keys" }), whole);
  const legend = element("p", { class: "soft legend" });
  view.more = extend(view);
  help.append(...[...new Map([...KEYS, ...(view.more.help ?? [])])].map(([key, what]) =>
    element("tr", {}, element("th", { scope: "row" }, key), element("td", {}, what))));
  const side = element("div", { class: "side" }, playing.nodes, row, options.side);
  const main = element("div", { class: "main" }, options.chips, strip.node, view.more.nodes, pane, legend, readout);
  const body = element("div", { class: "body" }, side, main);
  const root = view.root = element("div", { class: "losa timeline", role: "group", tabindex: "-1" }, title, help,
    body);
  view.say = (text) => { if (readout.textContent !== text) readout.textContent = text; };
  const move = () => {
    head.style.transform = `translateX(${view.left() + scale(bus.span, view.canvas.clientWidth).x(bus.time)}px)`;
    time.textContent = `${clock(bus.time, duration(), 2)} of ${clock(duration(), duration())}`;
    strip.place();
  };
  const draw = once(() => drawLanes(view)), moved = once(move);
  const drawAll = once(() => { drawOverview(view); drawLanes(view); move(); });
  const told = () => view.say(described(model, view.hovered ?? model.get("selected") ?? []) || IDLE);
  const chosen = () => {
    const { segment: [start] = [] } = view.record() ?? {}, [from, to] = bus.span;
    view.judged = [model.get("lanes").indexOf(model.get("selected")?.[0]), view.judged].find((lane) => lane > 0);
    option.textContent = described(model, model.get("selected") ?? []) || "no segment is selected";
    option.setAttribute("aria-selected", String(Boolean(view.record())));
    view.hovered = null;
    told();
    if (start < from || start > to) bus.zoom(...panned(bus.span, start - (from + to) / 2, duration()));
    draw();
  };
  const reveal = () => { // what somebody else selected, a diagnosis above or below, comes into sight
    const [stage] = playing.nodes, node = stage.offsetHeight ? stage : root, { top, bottom } = node.getBoundingClientRect();
    const seen = Math.min(bottom, innerHeight) - Math.max(top, 0) >= Math.min(bottom - top, 40);
    if (view.record() && !seen && !root.contains(document.activeElement)) node.scrollIntoView({ block: "nearest" });
  };
  const fill = () => {
    [view.colours, view.lanes] = [model.get("colours"), laidOut(model)];
    title.textContent = model.get("title");
    root.setAttribute("aria-label", model.get("title") || "Timeline");
    speed.value = model.get("speed");
    loop.setAttribute("aria-pressed", String(model.get("loop")));
    const any = (is) => view.lanes.some(is), judged = any((lane) => lane.judged), scored = any((lane) => !lane.isTruth);
    const ignored = any(({ shown }) => shown.some(({ record }) => isVoid(record)));
    error.hidden = !judged;
    legend.textContent = [judged && "full: right", judged && "hatched: wrong", ignored && "empty: counts for nothing",
      judged && "dashed outline: missed by all", scored && "fainter: lower score"].filter(Boolean).join(" · ");
    pane.setAttribute("aria-label", `Segments; ${view.lanes.map(({ name, told }) => `${name}: ${told}`).join("; ")}`);
    options.fill();
    told();
    drawAll();
  };
  const own = () => main.offsetLeft - body.offsetLeft; // 0 where the lanes are below the video
  view.left = () => Math.max(bus.left - own(), 0);
  const indent = () => { pane.style.paddingLeft = strip.node.style.marginLeft = `${view.left()}px`; };
  bus.on((what) => { playing.hear(what); if (what === "span") { indent(); draw(); } moved(); });
  const hover = (at) => { if (String(at) !== String(view.hovered)) { view.hovered = at; told(); draw(); } };
  view.canvas.addEventListener("pointermove", (event) => hover(choose.under(event.offsetX, event.offsetY)));
  view.canvas.addEventListener("pointerleave", () => hover(null));
  navigate(pane, bus, duration, { left: view.left, click: (x, y) => {
    const at = choose.under(x, y);
    if (at) choose.go(at, true);
    else bus.seek(clamp(scale(bus.span, view.canvas.clientWidth).time(x), 0, duration()));
  } });
  keys(root, { ...actions(view, choose, loop, help), ...view.more.keys });
  const later = once(fill), load = once(playing.load), heard = { "msg:custom": options.hear, "change:source": load,
    "change:speed": () => { playing.video.playbackRate = pace(model); later(); },
    "change:video_bytes": load, "change:poster": () => (model.get("poster").length ? playing.strip() : load()),
    "change:selected": () => { chosen(); reveal(); } };
  const deaf = listen(model, { ...heard, ...changes(["tracks", "lanes", "min_score", "shown_classes", "ap", "colours",
    "run_colours", "duration", "title", "loop", "sigma", "suppressible", "has_truth"], later) });
  el.append(root);
  const leave = attend({ model, el }, root, (lost) => { view.lost = lost; options.lose(lost); });
  bus.indent(own());
  fill();
  playing.load();
  chosen();
  const resized = () => { bus.indent(own()); drawAll(); };
  const ends = [watch(strip.node, resized), leave, playing.close, bus.close, deaf];
  return () => ends.forEach((end) => end());
}

export default { render };
