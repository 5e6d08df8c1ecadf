const KINDS = { gate: "gate", contribution: "contribution: |gate| × size", norm: "size of the adapters' output" };
const LEFT = 206, BARS = 92; // pixels before the time axis, and of these for the bars and their numbers

// What the model holds, as numbers: a row per tap and range.
function read(model) {
  const [gate, norm, times] = ["gates", "norms", "times"].map((name) => numbers(model.get(name)));
  const ranges = model.get("ranges"), rows = model.get("layers").flatMap((k) => ranges.map((range) => [k, range]));
  const kinds = gate.length ? [...(model.get("static") ? [] : ["gate"]), "contribution", "norm"] : ["norm"];
  const axis = snippets(times, model.get("duration")), values = { gate, norm };
  values.contribution = gate.map((value, i) => Math.abs(value) * norm[i]);
  const mean = (i) => gate.subarray(i * axis.size, (i + 1) * axis.size).reduce((a, b) => a + b, 0) / axis.size;
  const kind = kinds.includes(model.get("kind")) ? model.get("kind") : kinds[0];
  const high = rows.length > 24 ? 12 : rows.length > 8 ? 13 : 18; // pixels: a screen has room for these and a video
  return { ...axis, rows, kinds, kind, high, values, per: ranges.length, shown: values[kind],
    limits: limitsOf(values[kind]), means: gate.length ? rows.map((_, i) => mean(i)) : null };
}

// The heat map of the visible span, a pixel high per row: each pixel shows the mean of the snippets in it.
function heatMap({ shown, limits, rows, size, at }, span, columns) {
  const canvas = element("canvas", { width: columns, height: rows.length }), { time } = scale(span, columns);
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows.length);
  for (let x = 0; x < columns; x += 1) {
    const from = Math.max(Math.floor(at(time(x)) + 1e-6), 0);
    const to = Math.min(Math.max(Math.ceil(at(time(x + 1)) - 1e-6), from + 1), size);
    for (let row = 0; row < rows.length && from < to; row += 1) {
      let sum = 0;
      for (let i = from; i < to; i += 1) sum += shown[row * size + i];
      image.data.set([...coloured(sum / (to - from), limits), 255], 4 * (row * columns + x));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// At the left of the map the rows' names and, as bars, their gates (means over the video where they change).
function drawNames(context, { rows, per, high, means }, [ink, soft, accent], chosen) {
  const most = Math.max(1, ...(means ?? []).map(Math.abs)), from = LEFT - BARS;
  const [zero, wide] = means?.some((mean) => mean < 0) ? [from + 27, 27] : [from, 54];
  rows.forEach(([layer, range], i) => {
    context.fillStyle = i === chosen ? accent : ink;
    if (i % per === 0) context.fillText(`block ${layer}`, 2, (i + 0.5) * high, 54);
    context.fillText(range, 62, (i + 0.5) * high, from - 66);
    if (!means) return;
    context.fillText(means[i].toFixed(2), from + 58, (i + 0.5) * high, 30);
    const length = (means[i] / most) * wide;
    context.fillStyle = accent;
    context.fillRect(Math.min(zero, zero + length), i * high + high / 6, Math.abs(length), (high * 2) / 3);
    context.fillStyle = soft;
    context.fillRect(zero - 0.5, i * high, 1, high);
  });
}

// Classes or lengths by taps and ranges: a table with coloured numbers.
function profileTable({ names, ...all }, kind, { rows, per }) {
  const limits = limitsOf(all[kind].flat()), head = (scope, text, colspan) => element("th", { scope, colspan }, text);
  const cell = (value) => {
    const node = element("td", {}, value === null ? "–" : value.toFixed(2)), colour = coloured(value ?? 0, limits);
    const light = [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => sum + part * (colour[i] / 255) ** 2.2, 0) > 0.18;
    if (value !== null) Object.assign(node.style, { background: `rgb(${colour})`, color: light ? "#000" : "#fff" });
    return node;
  };
  return element("table", {}, element("thead", {}, element("tr", {}, element("td"),
    rows.filter((_, i) => i % per === 0).map(([layer]) => head("colgroup", `block ${layer}`, per))),
  element("tr", {}, element("td"), rows.map(([, range]) => head("col", range)))),
  element("tbody", {}, names.map((name, i) => element("tr", {}, head("row", name), all[kind][i].map(cell)))));
}

function render({ model, el }) {
  const bus = shared(model), duration = () => model.get("duration"), words = element("span"), bar = element("div");
  const title = element("div", { class: "title" }), answer = element("p"), canvas = element("canvas", { class: "map",
    tabindex: 0, role: "application" }), readout = readoutLine();
  const kind = choice(model, "kind", "what the map shows"), by = choice(model, "by", "rows of the table");
  const table = element("div", { class: "profile", tabindex: 0, role: "region", "aria-label": "data set" });
  const figure = element("div", { class: "figure" }, element("div", { class: "row" }, kind, bar), canvas, readout);
  const means = element("div", {}, element("div", { class: "row" }, words, by), table);
  const root = element("div", { class: "losa gates", role: "group", "aria-label": "gates of the adapters" }, title,
    answer, figure, means);
  let data, map, mapOf, row = -1;
  const draw = once(() => {
    if (figure.hidden || !root.isConnected) return;
    const top = data.rows.length * data.high, { context, width } = sheet(canvas, top + 20), wide = width - LEFT;
    const colours = ["--ink", "--soft", "--accent", "--head", "--back"].map((name) => themed(root, name));
    if (mapOf !== `${bus.span} ${wide}`) map = heatMap(data, bus.span, Math.max(Math.round(wide), 1));
    mapOf = `${bus.span} ${wide}`;
    Object.assign(context, { font: `${data.high / 2 + 3}px ${FONT}`, textBaseline: "middle", lineWidth: 2,
      imageSmoothingEnabled: false, strokeStyle: colours[2] });
    drawNames(context, data, colours, row);
    context.drawImage(map, LEFT, 0, wide, top);
    if (row >= 0) context.strokeRect(LEFT + 1, row * data.high + 1, wide - 2, data.high - 2);
    drawAxis(context, bus, { left: LEFT, wide, top, duration: duration() }, [colours[1], ...colours.slice(3)]);
    context.fillStyle = colours[1];
    if (data.means) context.fillText(model.get("static") ? "gate" : "mean gate", LEFT - BARS, top + 12);
  });
  const say = (time = bus.time, at = row) => {
    const of = (name, text) => (data.values[name].length ? `, ${text} ${data.values[name][at * data.size
      + data.of(time)].toFixed(2)}` : ""), [layer, range] = data.rows[at] ?? [];
    readout.textContent = clock(time, duration()) + (range === undefined ? "" : `, block ${layer}, ${range}${of("gate",
      "gate")}${of("norm", "size")}${of("contribution", "contribution")} (in lengths of the last layer's features)`);
  };
  const fill = () => {
    [data, mapOf] = [read(model), ""];
    row = Math.min(row, data.rows.length - 1);
    const profile = model.get("profile")[model.get("by")], named = profile?.[data.kind] ? data.kind : "contribution";
    [title.textContent, answer.textContent] = [model.get("title"), model.get("answer")];
    [figure.hidden, means.hidden, title.hidden] = [!data.values.norm.length, !profile, !model.get("title")];
    bar.replaceChildren(colourBar(data.limits));
    offer(kind, Object.fromEntries(data.kinds.map((name) => [name, KINDS[name]])), data.kind);
    offer(by, { class: "by class", length: "by length of the action" }, model.get("by"));
    canvas.setAttribute("aria-label", `${KINDS[data.kind]} over time; arrow keys read it`);
    words.textContent = `Over the data set, mean ${KINDS[named]}`;
    if (profile) table.replaceChildren(profileTable(profile, named, data));
    draw();
  };
  const time = (x) => scale(bus.span, canvas.clientWidth - LEFT).time(x - LEFT);
  const choose = (at) => { row = Math.min(Math.max(at, 0), data.rows.length - 1); say(); draw(); };
  canvas.addEventListener("pointermove", ({ offsetX: x, offsetY: y }) =>
    x >= LEFT && y < data.rows.length * data.high && say(time(x), Math.floor(y / data.high)));
  navigate(canvas, bus, duration, { left: () => LEFT, click: (x, y) => {
    if (x >= 0) bus.seek(time(x + LEFT));
    choose(Math.floor(y / data.high));
  } });
  const place = () => { // what is free at the left of the names, where another widget's time axis begins later
    figure.style.setProperty("--free", `${bus.left - LEFT}px`);
    figure.classList.toggle("beside", bus.left - LEFT >= 180);
  };
  bus.on((what) => what === "span" && place());
  bus.indent(LEFT);
  return mount({ model, el }, bus, root, { fill, draw, said: () => say(), step: () => data.step,
    actions: { ArrowUp: () => choose(row - 1), ArrowDown: () => choose(row + 1) }, traits: ["gates", "norms", "times",
      "layers", "ranges", "duration", "static", "title", "answer", "profile", "kind", "by"] });
}
export default { render };
