const EDGE = 14; // pixels of the strips of classes before both axes

// The chosen features: snippets, their similarity as a picture, their places in two dimensions.
function chosen(model) {
  const times = numbers(model.get("times")), { size, ...axis } = snippets(times, model.get("duration"));
  const pairs = (size * (size + 1)) / 2, tap = model.get("tap");
  const half = numbers(model.get("similarity"), Uint8Array).subarray(tap * pairs, (tap + 1) * pairs);
  const alike = (i, j) => (i > j ? alike(j, i) : half[i * size - (i * (i + 1)) / 2 + j] / 100);
  const low = half.reduce((a, b) => Math.min(a, b), 99) / 100;
  const picture = element("canvas", { width: size, height: size });
  const context = picture.getContext("2d"), image = context.createImageData(size, size);
  for (let i = 0; i < size * size; i += 1) {
    image.data.set([...coloured(alike(Math.floor(i / size), i % size), [low, 1]), 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  const xy = numbers(model.get("xy")).subarray(tap * size * 2);
  return { ...axis, times, size, alike, picture, limits: [low, 1], xy: Array.from({ length: size }, (_, i) =>
    [xy[2 * i], xy[2 * i + 1]]) };
}

// Similarity of the visible span with itself, classes along both axes, a cross at the playhead.
function drawMap(canvas, { at, size, picture }, bus, labels, { colours, soft, head, back, duration }) {
  const { context, width } = sheet(canvas, canvas.clientWidth + 18), wide = width - EDGE;
  const from = at(bus.span[0]), seen = at(bus.span[1]) - from, y = scale(bus.span, wide).x(bus.time);
  Object.assign(context, { imageSmoothingEnabled: false, textBaseline: "middle" });
  context.drawImage(picture, from, from, seen, seen, EDGE, EDGE, wide, wide);
  for (const edge of [1, 0]) { // first a rim, on which dark colours are seen on a dark page
    for (let i = Math.max(Math.floor(from), 0); i < Math.min(from + seen, size); i += 1) {
      const [start, end] = [Math.max((i - from) / seen, 0), Math.min((i + 1 - from) / seen, 1)].map((x) => x * wide);
      context.fillStyle = !labels[i] ? "transparent" : edge ? soft : colours[labels[i]];
      context.fillRect(EDGE + start - edge, 1 - edge, end - start + 0.5 + 2 * edge, EDGE - 6 + 2 * edge);
      context.fillRect(1 - edge, EDGE + start - edge, EDGE - 6 + 2 * edge, end - start + 0.5 + 2 * edge);
    }
  }
  drawAxis(context, bus, { left: EDGE, wide, top: width, duration }, [soft, head, back]);
  for (const [colour, half] of y < 0 || y > wide ? [] : [[back, 2], [head, 1]]) {
    context.fillStyle = colour;
    context.fillRect(EDGE, EDGE + y - half, wide, 2 * half);
  }
}

// Snippets in two dimensions: discs of the classes' colours, open squares for background, a ring around the current.
function drawCloud(canvas, { xy }, now, labels, { colours, soft, head }) {
  const { context, width, height } = sheet(canvas, canvas.clientWidth), ends = [0, 1].map((axis) =>
    [Math.min(...xy.map((p) => p[axis])), Math.max(...xy.map((p) => p[axis]))]);
  const unit = Math.min(...ends.map(([low, high], i) => ([width, height][i] - 32) / (high - low || 1)));
  const places = xy.map((place) => [0, 1].map((axis) => [width, height][axis] / 2
    + (axis ? -1 : 1) * (place[axis] - (ends[axis][0] + ends[axis][1]) / 2) * unit));
  const disc = ([x, y], radius) => { context.beginPath(); context.arc(x, y, radius, 0, 7); };
  Object.assign(context, { strokeStyle: soft, lineWidth: 1 });
  places.forEach(([x, y], i) => { if (!labels[i]) context.strokeRect(x - 3, y - 3, 6, 6); });
  places.forEach((place, i) => {
    if (!labels[i]) return;
    context.fillStyle = colours[labels[i]];
    disc(place, 4.5);
    context.fill();
    context.stroke();
  });
  Object.assign(context, { strokeStyle: head, lineWidth: 3 });
  disc(places[now], 9);
  context.stroke();
  return places;
}

function render({ model, el }) {
  const bus = shared(model), duration = () => model.get("duration"), labels = () => model.get("labels");
  const [map, cloud] = ["similarity of all snippets", "snippets in two dimensions"].map((label) => element("canvas",
    { class: "map", tabindex: 0, role: "application", "aria-label": `${label}; arrow keys read it` }));
  const title = element("div", { class: "title" }), bar = element("div"), words = element("span", { class: "soft" });
  const tap = choice(model, "tap", "features of", Number);
  const readout = readoutLine(), legend = element("div", { class: "row" });
  const root = element("div", { class: "losa features", role: "group", "aria-label": "features over time" }, title,
    element("div", { class: "row" }, tap, bar), words, element("div", { class: "pair" }, map, cloud), legend, readout);
  let data, places = [];
  const draw = once(() => {
    if (!root.isConnected || !data.size) return;
    const [soft, head, back] = ["--soft", "--head", "--back"].map((name) => themed(root, name));
    const style = { soft, head, back, colours: model.get("colours"), duration: duration() };
    drawMap(map, data, bus, labels(), style);
    places = drawCloud(cloud, data, data.of(bus.time), labels(), style);
  });
  const named = (i) => `${clock(data.times[i], duration())} (${labels()[i] || "background"})`;
  const say = (i = data.of(bus.time), j = i) => {
    readout.textContent = named(i) + (i === j ? "" : ` and ${named(j)}: similarity ${data.alike(i, j).toFixed(2)}`);
  };
  const fill = () => {
    data = chosen(model);
    const { name, explained } = model.get("taps")[model.get("tap")];
    offer(tap, Object.fromEntries(model.get("taps").map((each, i) => [i, each.name])), model.get("tap"));
    [title.textContent, title.hidden] = [model.get("title"), !model.get("title")];
    words.textContent = `Left: how similar the snippets of ${name} are to each other. Right: their main directions, `
      + `${explained.map((share) => `${(100 * share).toFixed(0)} %`).join(" and ")} of the variance.`;
    bar.replaceChildren(colourBar(data.limits));
    const legends = [...Object.entries(model.get("colours")), ["", ""]].filter(([label]) => labels().includes(label));
    legend.replaceChildren(...legends.map(([label, colour]) => element("span", {}, element("span", {
      class: label ? "disc" : "disc open", style: colour && `background:${colour}` }), label || "background")));
    draw();
  };
  const inMap = (x) => data.of(scale(bus.span, map.clientWidth - EDGE).time(x - EDGE)); // along either axis
  const nearest = (x, y, far = places.map(([a, b]) => Math.hypot(a - x, b - y))) => far.indexOf(Math.min(...far));
  const go = (i) => { bus.seek(data.times[i]); say(i); };
  map.addEventListener("pointermove", ({ offsetX: x, offsetY: y }) =>
    x >= EDGE && y >= EDGE && y < map.clientWidth && say(inMap(x), inMap(y)));
  cloud.addEventListener("pointermove", ({ offsetX: x, offsetY: y }) => say(nearest(x, y)));
  cloud.addEventListener("click", ({ offsetX: x, offsetY: y }) => go(nearest(x, y)));
  navigate(map, bus, duration, { left: () => EDGE, click: (x) => { if (x >= 0) go(inMap(x + EDGE)); } });
  return mount({ model, el }, bus, root, { fill, draw, said: () => say(), step: () => data.step,
    traits: ["taps", "tap", "similarity", "xy", "times", "labels", "colours", "duration", "title"] });
}
export default { render };
