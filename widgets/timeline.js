const ROW = 18, MOST = 90, TITLE = 17; // pixels: a row of a lane, all rows of a lane, its name above it
const SPEEDS = [0.25, 0.5, 0.75, 1, 1.5, 2, 3];
const KEYS = [["Space", "play, pause"], [", .", "one frame back, on"], ["← →", "1 s; with Shift 5 s"],
  ["0 … 9", "0 to 90 % of the video"], ["n p", "next, previous segment of the lane"], ["↑ ↓", "lane above, below"],
  ["e", "next error: a wrong prediction or a missed action"], ["Enter", "play the selected segment"],
  ["l", "loop the selected segment"], ["+ −", "faster, slower"], ["z x", "zoom in, out; also the wheel"],
  ["Page ↑ ↓", "earlier, later; also a drag"], ["f", "the whole video; also a double click"], ["m", "mute"],
  ["?", "this help; Escape closes it"]];
const percent = (value) => (typeof value === "number" ? `${(100 * value).toFixed(1)} %` : "–");

// What is shown of each lane and where: records above the threshold of the classes shown, in the order of time.
function laidOut(model) {
  const tracks = model.get("tracks"), least = model.get("min_score"), classes = new Set(model.get("shown_classes"));
  let top = 0, truth = 0;
  return model.get("lanes").map((name, lane) => {
    const shown = (tracks[name] ?? []).map((record, index) => ({ record, index }))
      .filter(({ record }) => classes.has(record.label) && (!lane || record.score >= least - 1e-9))
      .sort((a, b) => a.record.segment[0] - b.record.segment[0] || a.record.segment[1] - b.record.segment[1]);
    const rows = shown.reduce((most, { record }) => Math.max(most, record.row + 1), 1);
    const right = shown.filter(({ record }) => record.verdict === "true positive").length;
    if (!lane) truth = shown.length;
    const told = lane ? `${right} of ${truth} found, ${shown.length - right} wrong` : `${shown.length} segments`;
    const high = Math.min(ROW, MOST / rows), from = top + TITLE;
    top = from + rows * high + 4;
    return { name, lane, shown, rows, high, from, told: truth || lane ? told : "no segments" };
  });
}

// Scores of the tracks in which this ground truth is found at the threshold.
const finders = (model, record) => Object.entries(record.found ?? {})
  .filter(([, score]) => score >= model.get("min_score") - 1e-9);

// The record in words: what, when, how sure, and why it is right or wrong.
function described(model, [name, index]) {
  const lanes = model.get("lanes"), record = model.get("tracks")[name]?.[index], duration = model.get("duration");
  if (!record) return "";
  const span = ([start, end]) => `${clock(start, duration, 2)} – ${clock(end, duration, 2)}`;
  const other = record.other === null ? null : model.get("tracks")[lanes[0]]?.[record.other];
  const near = other ? `${other.label}, ${span(other.segment)}, tIoU ${record.tiou.toFixed(2)}` : "";
  const needed = model.get("tiou"), found = finders(model, record).map(([track, score]) => `${track} (${score.toFixed(2)})`);
  const missed = lanes.slice(1).filter((track) => !finders(model, record).some(([by]) => by === track));
  const why = {
    "true positive": `right: it finds ${near}`,
    "double detection": `wrong, double detection: a prediction with a higher score has found ${near}`,
    "wrong label": `wrong label: here is ${near}`,
    localisation: `wrong, localisation: right label, but ${needed} is needed and the best is ${near}`,
    confusion: `wrong, confusion: neither label nor boundaries fit, nearest is ${near}`,
    background: `wrong, background: nothing happens here${near ? `, nearest is ${near}` : ""}`,
  }[record.verdict] ?? [found.length && `found by ${found.join(", ")}`, missed.length && `missed by ${missed.join(", ")}`]
    .filter(Boolean).join("; ");
  const score = name === lanes[0] ? "" : `, score ${record.score.toFixed(2)}`;
  return `${name}: ${record.label}, ${span(record.segment)}${score}${why && `. ${why[0].toUpperCase()}${why.slice(1)}.`}`;
}

// Average mAP of the shown classes from the threshold on: looked up, as Python's `live_map`.
function looked(model, table) {
  if (!table) return null;
  const at = table.thresholds.findIndex((t) => t >= model.get("min_score") - 1e-9), shown = new Set(model.get("shown_classes"));
  const values = Object.entries(table.average).filter(([label]) => shown.has(label)).map(([, row]) => row.at(at));
  return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
}

function hatched(view, colour) {
  if (!view.hatches.has(colour)) {
    const tile = element("canvas", { width: 6, height: 6 }), c = tile.getContext("2d");
    [c.strokeStyle, c.lineWidth] = [colour, 1.6];
    for (const x of [-6, 0, 6]) { c.moveTo(x - 1, 7); c.lineTo(x + 7, -1); }
    c.stroke();
    view.hatches.set(colour, c.createPattern(tile, "repeat"));
  }
  return view.hatches.get(colour);
}

const inkOn = (colour) => { // black or white, as `widgets.figures.ink_on`
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16) / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000000" : "#ffffff";
};

// One segment as a bar: full where it is right, hatched with an outline where it is wrong.
function drawBar(view, c, record, wrong, [x, y, wide, high], theme) {
  const colour = view.colours[record.label] ?? "#777777";
  c.globalAlpha = 0.3 + 0.7 * Math.min(Math.max(record.score, 0), 1);
  c.fillStyle = wrong ? (wide > 3 ? hatched(view, colour) : colour) : colour;
  c.fillRect(x, y, wide, high);
  if (wrong && wide > 3) {
    [c.strokeStyle, c.lineWidth] = [colour, 1.5];
    c.strokeRect(x + 0.75, y + 0.75, wide - 1.5, high - 1.5);
  }
  if (high < 12 || wide < 24) return;
  const room = view.widths.get(record.label) ?? c.measureText(record.label).width;
  view.widths.set(record.label, room);
  if (room + 8 > wide) return;
  if (wrong) {
    [c.globalAlpha, c.fillStyle] = [0.85, theme.back];
    c.fillRect(x + (wide - room) / 2 - 3, y + 2, room + 6, high - 4);
  }
  const solid = c.globalAlpha > 0.6 && !wrong;
  [c.globalAlpha, c.fillStyle] = [1, solid ? inkOn(colour) : theme.ink];
  c.fillText(record.label, x + (wide - room) / 2, y + high / 2 + 1);
}

function drawLanes(view) {
  const { model, bus, lanes, canvas } = view, last = lanes.at(-1), below = last.from + last.rows * last.high + 6;
  const { context: c, width } = sheet(canvas, below + 18), { x } = scale(bus.span, width), theme = {};
  for (const name of ["ink", "soft", "line", "back", "card", "accent"]) theme[name] = themed(view.root, `--${name}`);
  [c.font, c.textBaseline] = ["11px system-ui, sans-serif", "middle"];
  const { step, times } = marks(bus.span, Math.max(width / 90, 2));
  [c.fillStyle, c.strokeStyle, c.textAlign] = [theme.soft, theme.line, "center"];
  for (const time of times) {
    c.fillRect(x(time), 0, 0.5, below + 3);
    if (x(time) > 22 && x(time) < width - 22) c.fillText(clock(time, model.get("duration"), step < 1 ? 1 : 0), x(time), below + 10);
  }
  c.textAlign = "left";
  const chosen = model.get("selected"), [from, to] = bus.span, others = lanes.length > 1;
  view.drawn = 0;
  for (const { name, lane, shown, rows, high, from: top, told } of lanes) {
    c.globalAlpha = 1;
    [c.fillStyle, c.font] = [theme.ink, "600 11px system-ui, sans-serif"];
    const title = c.measureText(name).width;
    c.fillText(name, 2, top - 8, width * 0.6);
    [c.fillStyle, c.font] = [theme.soft, "11px system-ui, sans-serif"];
    c.fillText(told, Math.min(title, width * 0.6) + 12, top - 8);
    c.fillStyle = theme.card;
    c.fillRect(0, top, width, rows * high);
    for (const { record, index } of shown) {
      const [start, end] = record.segment;
      if (end < from || start > to) continue;
      view.drawn += 1;
      const a = Math.max(x(start), -4), box = [a, top + record.row * high, Math.max(Math.min(x(end), width + 4) - a, 1.5), high - Math.min(2, high / 4)];
      drawBar(view, c, record, lane > 0 && record.verdict !== "true positive", box, theme);
      c.globalAlpha = 1;
      const missed = !lane && others && !finders(model, record).length, mine = chosen?.[0] === name && chosen[1] === index;
      const near = view.hovered?.[0] === name && view.hovered[1] === index;
      if (!missed && !mine && !near) continue;
      [c.strokeStyle, c.lineWidth] = [mine || near ? theme.accent : theme.ink, mine ? 3 : 2];
      if (missed && !mine && !near) c.setLineDash([4, 3]);
      c.strokeRect(box[0], box[1], box[2], box[3]);
      c.setLineDash([]);
    }
  }
}

function drawOverview(view) {
  const { context: c, width, height } = sheet(view.overview, 30), { x } = scale([0, view.model.get("duration")], width);
  c.fillStyle = themed(view.root, "--card");
  c.fillRect(0, 0, width, height);
  const band = height / view.lanes.length;
  for (const { lane, shown } of view.lanes) {
    for (const { record } of shown) {
      const [start, end] = record.segment;
      c.globalAlpha = 0.3 + 0.7 * Math.min(Math.max(record.score, 0), 1);
      c.fillStyle = view.colours[record.label] ?? "#777777";
      c.fillRect(x(start), lane * band + 1, Math.max(x(end) - x(start), 1), band - 2);
    }
  }
}

// The <video>, or a strip of pictures in its place. `at(time)`: the middle of the frame there, so that it is this frame.
function player(view) {
  const { model, bus } = view, stage = element("div", { class: "stage" }), told = element("p", { class: "soft" });
  const video = element("video", { playsinline: true, preload: "auto", tabindex: "-1", "aria-label": "Video" });
  let blobs = [], until = null, playing = false;
  const blob = (bytes, type) => { blobs.push(URL.createObjectURL(new Blob([bytes], { type }))); return blobs.at(-1); };
  const at = (time) => {
    const fps = model.get("fps");
    return Math.min(fps ? (Math.floor(time * fps + 1e-6) + 0.5) / fps : time, (video.duration || Infinity) - 1e-3);
  };
  const play = (segment = null) => {
    until = segment ? segment[1] : null;
    if (!video.hidden) video.play().catch((error) => { if (error.name !== "AbortError") told.textContent = error.message; });
  };
  const tick = () => {
    if (video.paused || !video.isConnected) return;
    requestAnimationFrame(tick);
    if (video.seeking) return;
    const now = video.currentTime, chosen = model.get("loop") ? view.record()?.segment : null, [start, end] = bus.span;
    if (chosen && now >= chosen[1]) return bus.seek(chosen[0]);
    if (until !== null && now >= until) { until = null; video.pause(); return bus.move(now); }
    if (now > end && now < model.get("duration")) bus.zoom(...panned([start, end], now - start, model.get("duration")));
    bus.move(now);
  };
  const state = () => { playing = !video.paused; view.button.textContent = playing ? "❚❚ Pause" : "▶ Play"; };
  video.addEventListener("play", () => { state(); requestAnimationFrame(tick); });
  video.addEventListener("pause", () => { state(); bus.seek(Math.min(video.currentTime, model.get("duration"))); });
  video.addEventListener("loadedmetadata", () => {
    video.playbackRate = model.get("speed");
    video.currentTime = at(bus.time);
  });
  video.addEventListener("click", () => toggle());
  video.addEventListener("error", () => {
    if (!video.getAttribute("src")) return;
    video.hidden = true;
    told.textContent = model.get("source").message
      || "This browser cannot play this video. Make a copy that it plays: losa playable VIDEO COPY.mp4";
    if (model.get("live")) model.send({ kind: "poster" });
    strip();
  });
  const toggle = () => (video.paused ? play() : video.pause());
  const strip = () => {
    const pictures = video.hidden ? model.get("poster") : [];
    stage.replaceChildren(video, ...pictures.map(({ time, jpeg }) => element("button", { type: "button", class: "still",
      title: `to ${clock(time, model.get("duration"))}`, onclick: () => bus.seek(time) },
    element("img", { src: blob(jpeg, "image/jpeg"), alt: `frame at ${clock(time, model.get("duration"))}` }))));
    for (const node of view.moving) node.hidden = video.hidden;
  };
  const load = () => {
    blobs.forEach((url) => URL.revokeObjectURL(url));
    blobs = [];
    const { kind, path, message } = model.get("source"), bytes = model.get("video_bytes");
    const root = JSON.parse(document.getElementById("jupyter-config-data")?.textContent || "{}").baseUrl ?? "/";
    const url = kind === "files" ? `${root}files/${path}`
      : kind === "bytes" && bytes?.byteLength ? blob(bytes, "video/mp4") : "";
    video.hidden = !url;
    if (url) video.src = url;
    else video.removeAttribute("src");
    told.textContent = url ? "" : message ?? "";
    strip();
  };
  const close = () => {
    video.pause();
    video.removeAttribute("src");
    blobs.forEach((url) => URL.revokeObjectURL(url));
  };
  const hear = (what) => {
    if (what === "seek") { until = null; if (!video.hidden) video.currentTime = at(bus.time); }
    if (what === "play") play();
  };
  return { nodes: [stage, told], video, load, strip, play, toggle, close, hear };
}

// Chooses segments: by click, by key, one after the other. `go` selects and goes there, `play` plays from its start.
function chooser(view) {
  const { model, bus } = view;
  let judged = 1;
  const lane = () => Math.max(model.get("lanes").indexOf(model.get("selected")?.[0] ?? model.get("lanes")[view.lane]), 0);
  const go = (name, index, play = false) => {
    const { segment } = model.get("tracks")[name][index];
    view.lane = model.get("lanes").indexOf(name);
    if (view.lane) judged = view.lane;
    view.set({ selected: [name, index] });
    bus.seek(segment[0]);
    if (play) view.player.play(segment);
  };
  const next = (list, by) => { // [name, index, start] before or behind the selected one, else the playhead
    const chosen = model.get("selected"), at = list.findIndex(([name, index]) => chosen?.[0] === name && chosen[1] === index);
    const near = by > 0 ? list.findIndex(([, , start]) => start > bus.time + 1e-6)
      : list.findLastIndex(([, , start]) => start < bus.time - 1e-6);
    const found = list[at >= 0 ? at + by : near];
    if (found) go(found[0], found[1]);
    else view.say(list.length ? `no ${by > 0 ? "later" : "earlier"} one` : "none is shown");
  };
  const listed = (place) => place.shown.map(({ record, index }) => [place.name, index, record.segment[0]]);
  return {
    go,
    step: (by) => next(listed(view.lanes[lane()]), by),
    error() {
      const place = view.lanes[Math.min(judged, view.lanes.length - 1)], [truth] = view.lanes;
      if (!place.lane) return view.say("there is no prediction to be wrong");
      const missed = truth.shown.filter(({ record }) => !finders(model, record).some(([by]) => by === place.name));
      const wrong = place.shown.filter(({ record }) => record.verdict !== "true positive");
      next([...listed({ name: truth.name, shown: missed }), ...listed({ name: place.name, shown: wrong })]
        .sort((a, b) => a[2] - b[2]), 1);
    },
    up(by) {
      const place = view.lanes[Math.min(Math.max(lane() + by, 0), view.lanes.length - 1)];
      const near = (item) => Math.abs(item.record.segment[0] - bus.time);
      const found = place.shown.reduce((best, item) => (best && near(best) <= near(item) ? best : item), null);
      if (found) return go(place.name, found.index);
      view.lane = place.lane;
      view.set({ selected: null });
      view.say(`${place.name}: nothing is shown`);
    },
    play() { if (view.record()) go(...model.get("selected"), true); },
    under(x, y) { // [name, index] at these pixels
      const place = view.lanes.find(({ from, rows, high }) => y >= from && y < from + rows * high);
      if (!place) return null;
      const row = Math.floor((y - place.from) / place.high), { time } = scale(view.bus.span, view.canvas.clientWidth);
      const found = place.shown.filter(({ record }) => record.row === row && record.segment[0] <= time(x + 2)
        && record.segment[1] >= time(x - 2));
      return found.length ? [place.name, found.at(-1).index] : null;
    },
  };
}

// Sliders, chips and the table of live mAP. Soft-NMS asks Python, one question at a time, the latest wins.
function settings(view) {
  const { model, set } = view, chips = element("div", { class: "row chips", role: "group", "aria-label": "Classes shown" });
  const slider = (name, label, limits, attributes) => {
    const shown = element("output"), input = element("input", { type: "range", ...limits, "aria-label": label, ...attributes });
    const fill = () => { [input.value, shown.textContent] = [model.get(name), model.get(name).toFixed(2)]; };
    return { node: element("label", { class: "row" }, label, input, shown), input, shown, fill };
  };
  const least = slider("min_score", "score at least", { min: 0, max: 1, step: 0.01 }, {
    oninput: ({ target }) => set({ min_score: Number(target.value) }) });
  const sigma = slider("sigma", "soft-NMS sigma", { min: 0.05, max: 2, step: 0.05 }, {
    oninput: () => ask(false), onchange: () => { clearTimeout(later); later = setTimeout(() => ask(true), 300); } });
  const progress = element("progress", { max: 1, value: 0, "aria-label": "mAP of the data set", hidden: true });
  const maps = element("table", { class: "maps" });
  let busy = false, waiting = null, later = 0;
  const ask = (whole) => {
    const question = { kind: "suppress", sigma: Number(sigma.input.value), data_set: whole };
    sigma.shown.textContent = question.sigma.toFixed(2);
    if (busy) waiting = question;
    else { busy = true; model.send(question); }
  };
  const hear = (message) => {
    if (message.kind === "progress") [progress.hidden, progress.value] = [false, message.done / message.total];
    if (message.kind === "failed") view.say(message.text);
    if (message.kind !== "done" && message.kind !== "failed") return;
    [busy, progress.hidden] = [false, true];
    if (waiting) { busy = true; model.send(waiting); waiting = null; }
  };
  const tables = () => {
    const ap = model.get("ap"), names = model.get("lanes").filter((name) => ap[name]);
    const row = (tag, ...cells) => element("tr", {}, cells.map((text) => element(tag, {}, text)));
    maps.hidden = !names.length;
    maps.replaceChildren(row("th", "average mAP", "this video", "data set"), ...names.map((name) =>
      row("td", name, percent(looked(model, ap[name].video)), percent(looked(model, ap[name].data)))));
  };
  const toggle = (label, only) => {
    const shown = model.get("shown_classes"), all = Object.keys(model.get("colours"));
    if (only) return set({ shown_classes: shown.length === 1 && shown[0] === label ? all : [label] });
    set({ shown_classes: shown.includes(label) ? shown.filter((one) => one !== label) : all.filter((one) => one === label || shown.includes(one)) });
  };
  const classes = () => { // pressed or not is all that changes while the labels stay: the focus stays, too
    const used = new Set(Object.values(model.get("tracks")).flat().map((record) => record.label));
    const labels = Object.keys(model.get("colours")).filter((label) => used.has(label)), shown = new Set(model.get("shown_classes"));
    if (String(labels) !== String([...chips.querySelectorAll("button.chip")].map((node) => node.dataset.label))) {
      chips.replaceChildren(...labels.map((label) => {
        const dot = element("span", { class: "dot" });
        dot.style.background = model.get("colours")[label];
        return element("button", { type: "button", class: "chip", "data-label": label, title: "click: hide or show; with Shift: this one only",
          onclick: (event) => toggle(label, event.shiftKey) }, dot, label);
      }), element("button", { type: "button", onclick: () => set({ shown_classes: Object.keys(model.get("colours")) }) }, "all"));
    }
    chips.querySelectorAll("button.chip").forEach((node) => node.setAttribute("aria-pressed", shown.has(node.dataset.label)));
  };
  const fill = () => {
    least.fill();
    if (!busy) sigma.fill();
    sigma.node.hidden = !(model.get("live") && model.get("suppressible"));
    tables();
    classes();
  };
  return { nodes: [element("div", { class: "row" }, least.node, sigma.node, progress), chips, maps], fill, hear };
}

// The strip of the whole video: its window is dragged, its ends are pulled, a click elsewhere takes it there.
function overview(view) {
  const { model, bus } = view, pane = element("div", { class: "pane" }), head = element("div", { class: "head" });
  view.overview = element("canvas", { "aria-hidden": "true" });
  const strip = element("div", { class: "overview", title: "the whole video: drag the window or its ends" }, view.overview, pane, head);
  let held = null;
  const at = (event) => ((event.clientX - strip.getBoundingClientRect().left) / strip.clientWidth) * model.get("duration");
  strip.addEventListener("pointerdown", (event) => {
    const [start, end] = bus.span, time = at(event), near = (6 / strip.clientWidth) * model.get("duration");
    if (event.button) return;
    strip.setPointerCapture(event.pointerId);
    if (time < start - near || time > end + near) bus.zoom(...panned(bus.span, time - (start + end) / 2, model.get("duration")));
    held = { time, span: [...bus.span], edge: Math.abs(time - start) <= near ? 0 : Math.abs(time - end) <= near ? 1 : -1 };
  });
  strip.addEventListener("pointermove", (event) => {
    if (!held) return;
    const by = at(event) - held.time, span = [...held.span], duration = model.get("duration");
    if (held.edge < 0) return bus.zoom(...panned(span, by, duration));
    const least = Math.min(0.25, duration), moved = span[held.edge] + by;
    span[held.edge] = held.edge ? Math.min(Math.max(moved, span[0] + least), duration) : Math.max(Math.min(moved, span[1] - least), 0);
    bus.zoom(...span);
  });
  for (const name of ["pointerup", "pointercancel"]) strip.addEventListener(name, () => { held = null; });
  strip.addEventListener("dblclick", () => bus.zoom(0, model.get("duration")));
  const place = () => {
    const [start, end] = bus.span, duration = model.get("duration");
    [pane.style.left, pane.style.width] = [`${(100 * start) / duration}%`, `${(100 * (end - start)) / duration}%`];
  };
  return { node: strip, head, place };
}

function render({ model, el }) {
  const view = { model, bus: shared(model), hatches: new Map(), widths: new Map(), lane: 0, hovered: null, moving: [] };
  const { bus } = view, duration = () => model.get("duration");
  view.set = (values) => { for (const pair of Object.entries(values)) model.set(...pair); model.save_changes(); };
  view.record = () => { const at = model.get("selected"); return at ? model.get("tracks")[at[0]]?.[at[1]] : null; };
  const button = (text, title, onclick, more = {}) => element("button", { type: "button", title, onclick, ...more }, text);
  const help = element("table", { class: "help", hidden: true }, KEYS.map(([key, what]) =>
    element("tr", {}, element("th", { scope: "row" }, key), element("td", {}, what))));
  const toggleHelp = (open = help.hidden) => { help.hidden = !open; };
  const playing = view.player = player(view), choose = chooser(view), strip = overview(view), options = settings(view);
  const speed = element("select", { "aria-label": "Speed", onchange: () => view.set({ speed: Number(speed.value) }) },
    SPEEDS.map((value) => element("option", { value }, `${value}×`)));
  const loop = button("loop", "loop the selected segment (l)", () => view.set({ loop: !model.get("loop") }));
  view.button = button("▶ Play", "play or pause (Space)", playing.toggle, { class: "play" });
  view.moving = [view.button, loop, speed];
  const time = element("output", { class: "clock" });
  const title = element("div", { class: "title" }), readout = element("p", { class: "readout", "aria-live": "polite" });
  const option = element("span", { class: "hidden", role: "option", id: `losa-${Math.random().toString(36).slice(2)}` });
  const head = element("div", { class: "head" });
  view.canvas = element("canvas", { "aria-hidden": "true" });
  const lanes = element("div", { class: "lanes", tabindex: "0", role: "listbox", "aria-label": "Segments",
    "aria-activedescendant": option.id }, view.canvas, head, option);
  const root = view.root = element("div", { class: "losa timeline", role: "group", tabindex: "-1" }, title,
    playing.nodes, element("div", { class: "row" }, view.button, time,
      button("next error", "next wrong prediction or missed action (e)", choose.error), loop, speed,
      button("?", "keys (?)", () => toggleHelp(), { "aria-label": "Keys" })), help, options.nodes, strip.node, lanes,
    element("p", { class: "soft legend" }, "full: right · hatched: wrong · dashed outline: missed by all · fainter: lower score"), readout);
  view.say = (text) => { if (readout.textContent !== text) readout.textContent = text; };
  const draw = once(() => { drawLanes(view); }), drawAll = once(() => { drawOverview(view); strip.place(); drawLanes(view); move(); });
  const move = () => {
    const { x } = scale(bus.span, lanes.clientWidth), whole = scale([0, duration()], strip.node.clientWidth);
    head.style.transform = `translateX(${x(bus.time)}px)`;
    head.hidden = bus.time < bus.span[0] || bus.time > bus.span[1];
    strip.head.style.transform = `translateX(${whole.x(bus.time)}px)`;
    time.textContent = `${clock(bus.time, duration(), 2)} of ${clock(duration(), duration())}`;
  };
  const moved = once(move);
  const chosen = () => {
    const at = model.get("selected"), record = view.record(), [start, end] = bus.span;
    option.textContent = at ? described(model, at) : "no segment is selected";
    option.setAttribute("aria-selected", String(Boolean(at)));
    view.say(at ? option.textContent : "Click a segment to play it; press ? for the keys.");
    if (record && (record.segment[0] < start || record.segment[0] > end)) {
      bus.zoom(...panned(bus.span, record.segment[0] - (start + end) / 2, duration()));
    }
    draw();
  };
  const fill = once(() => {
    [view.colours, view.lanes] = [model.get("colours"), laidOut(model)];
    title.textContent = model.get("title");
    root.setAttribute("aria-label", model.get("title") || "Timeline");
    speed.value = model.get("speed");
    playing.video.playbackRate = model.get("speed");
    loop.setAttribute("aria-pressed", String(model.get("loop")));
    options.fill();
    drawAll();
  });
  bus.on((what) => {
    playing.hear(what);
    if (what === "span") { strip.place(); draw(); }
    moved();
  });
  const hover = (event) => {
    const at = event ? choose.under(event.offsetX, event.offsetY) : null;
    if (String(at) === String(view.hovered)) return;
    view.hovered = at;
    view.canvas.style.cursor = at ? "pointer" : "";
    view.say(described(model, at ?? model.get("selected") ?? []) || "Click a segment to play it; press ? for the keys.");
    draw();
  };
  view.canvas.addEventListener("pointermove", hover);
  view.canvas.addEventListener("pointerleave", () => hover(null));
  navigate(lanes, bus, duration, { click: (x, y) => {
    const at = choose.under(x, y);
    if (at) choose.go(...at, true);
    else bus.seek(scale(bus.span, lanes.clientWidth).time(x));
  } });
  const frame = () => 1 / (model.get("fps") || 25), faster = (by) => {
    const at = SPEEDS.indexOf(model.get("speed")) + by;
    view.set({ speed: SPEEDS[Math.min(Math.max(at, 0), SPEEDS.length - 1)] });
  };
  const go = (time) => bus.seek(Math.min(Math.max(time, 0), duration()));
  const step = (by) => go((Math.floor(bus.time / frame() + 1e-6) + by) * frame());
  const zoom = (factor) => bus.zoom(...zoomed(bus.span, Math.min(Math.max(bus.time, bus.span[0]), bus.span[1]), factor, duration()));
  const pan = (by) => bus.zoom(...panned(bus.span, by * (bus.span[1] - bus.span[0]), duration()));
  keys(root, { " ": playing.toggle, k: playing.toggle, ",": () => step(-1), ".": () => step(1),
    ArrowLeft: (event) => go(bus.time - (event.shiftKey ? 5 : 1)), ArrowRight: (event) => go(bus.time + (event.shiftKey ? 5 : 1)),
    ArrowUp: () => choose.up(-1), ArrowDown: () => choose.up(1), n: () => choose.step(1), p: () => choose.step(-1),
    e: choose.error, Enter: choose.play, l: () => loop.click(), "+": () => faster(1), "=": () => faster(1), "-": () => faster(-1),
    z: () => zoom(0.5), x: () => zoom(2), f: () => bus.zoom(0, duration()), PageUp: () => pan(-0.5), PageDown: () => pan(0.5),
    m: () => { playing.video.muted = !playing.video.muted; }, "?": () => toggleHelp(), Escape: () => toggleHelp(false),
    ...Object.fromEntries([..."0123456789"].map((digit) => [digit, () => go((Number(digit) / 10) * duration())])) });
  const heard = { "msg:custom": (message) => options.hear(message), "change:source": playing.load,
    "change:video_bytes": playing.load, "change:poster": playing.strip, "change:selected": chosen };
  for (const name of ["tracks", "lanes", "min_score", "shown_classes", "ap", "colours", "duration", "title", "speed",
    "loop", "sigma", "suppressible", "live"]) heard[`change:${name}`] = fill;
  for (const [name, listener] of Object.entries(heard)) model.on(name, listener);
  el.append(root);
  fill();
  playing.load();
  chosen();
  const ends = [watch(root, drawAll), playing.close, bus.close,
    () => Object.entries(heard).forEach(([name, listener]) => model.off(name, listener))];
  return () => ends.forEach((end) => end());
}

export default { render };
