const LEFT = 232, ROW = 19, MOST = 12, NEAR = 6; // pixels before the time axis, of a row; predictions; pixels to an edge
const cut = (tiou) => (Math.floor(tiou * 100 + 1e-9) / 100).toFixed(2); // never up to a threshold that is not reached

// tIoU of two segments; two without length count as equal wherever they lie, as in ActivityNet's evaluator.
function overlap([a, b], [c, d]) {
  const inter = Math.max(0, Math.min(b, d) - Math.max(a, c)), union = b - a + d - c - inter;
  return union > 0 ? inter / union : 2;
}

// One class's predictions of all videos by falling score, as ActivityNet's evaluator judges them: each takes the free
// ground truth of its video with the highest tIoU, if that is not below the threshold, and is right then.
function matched(truth, predictions, tiou) {
  const taken = {}, rows = Object.entries(predictions).flatMap(([video, list]) => list.map(
    ([start, end, score], index) => ({ video, index, segment: [start, end], score, needed: tiou })));
  for (const row of rows.sort((a, b) => b.score - a.score)) {
    const gone = (taken[row.video] ??= new Set());
    const list = truth[row.video] ?? [], [start, end] = row.segment;
    let [most, near, best, free] = [0, list.length - 1, 0, -1]; // highest tIoU, that of what is free; of equals the last
    list.forEach((segment, at) => {
      if (end > start && (segment[0] > end || segment[1] < start)) return;
      const found = overlap(row.segment, segment);
      if (found >= most) [most, near] = [found, at];
      if (found >= best && !gone.has(at)) [best, free] = [found, at];
    });
    row.right = free >= 0 && best >= tiou;
    [row.tiou, row.other] = row.right ? [best, free] : [most, near];
    if (row.right) gone.add(row.other);
  }
  return rows;
}

// Precision over recall after each of the rows, precision made monotone from the end (`most`); AP is the area under it.
function precisionRecall(rows, total) {
  let right = 0, most = 0, area = 0;
  const points = rows.map((row, i) => ({ recall: (right += row.right) / total, precision: right / (i + 1) }));
  for (let i = rows.length - 1; i >= 0; i -= 1) {
    points[i].most = most = Math.max(most, points[i].precision);
    area += rows[i].right ? most / total : 0;
  }
  return { points, ap: total ? area : 0 };
}

// What a row says of itself.
function named({ score, text, right, tiou, other, needed }) {
  const near = `${other + 1}, tIoU ${cut(tiou)}`, why = right ? `right: finds ${near}` : tiou < 0.005
    ? "wrong: nothing is here" : `wrong: ${tiou < needed ? "too far from" : "found already:"} ${near}`;
  return text ?? `${score.toFixed(2)} ${why}`;
}

// Precision over recall, with a stripe for each action that is found: together they are AP. The chosen row is marked.
function drawCurve(canvas, { points, rows, marked }, { soft, line, ink, accent, head }) {
  const { context: c, width } = sheet(canvas, 170), [wide, high, foot] = [width - 42, 132, 140];
  const at = (recall, precision) => [34 + recall * wide, foot - precision * high], here = points[rows.indexOf(marked)];
  Object.assign(c, { strokeStyle: line, fillStyle: soft, font: `11px ${FONT}`, textBaseline: "middle" });
  c.strokeRect(34, foot - high, wide, high);
  for (const v of [0, 0.5, 1]) { c.fillText(v, at(v, 0)[0] - 4, foot + 9); c.fillText(v, 12, at(0, v)[1]); }
  c.fillText("→ recall   ↑ precision", 34, foot + 22);
  Object.assign(c, { strokeStyle: ink, fillStyle: accent, globalAlpha: 0.3 });
  points.filter((_, i) => rows[i].right).forEach(({ recall, most }, i, { length }) => {
    const [from, y] = at(recall - points.at(-1).recall / length, most);
    c.fillRect(from, y, at(recall, 0)[0] - from, foot - y);
  });
  Object.assign(c, { globalAlpha: 1, fillStyle: head });
  c.beginPath();
  points.forEach(({ recall, precision }) => c.lineTo(...at(recall, precision)));
  c.stroke();
  if (here) c.fillRect(at(here.recall, 0)[0] - 3, at(0, here.precision)[1] - 3, 6, 6);
}

function render({ model, el }) {
  const bus = shared(model), get = (name) => model.get(name);
  const canvas = element("canvas", { tabindex: 0, role: "application", "aria-label": "segments" });
  const plot = element("canvas", { role: "img", "aria-label": "precision over recall" }), told = element("p");
  const says = readoutLine(), title = element("div", { class: "title" });
  const below = element("div", { class: "below" }, element("div", { class: "plot" }, plot), told);
  const root = element("div", { class: "losa matching", role: "group", "aria-label": "from segments to AP" }, title,
    canvas, says, below);
  let rows = [], all = [], now = {}, chosen = 0, edge = 1, held = false;
  const axis = () => scale(bus.span, canvas.clientWidth - LEFT), top = (i) => (i + 1) * ROW + 4;
  const draw = once(() => {
    if (!root.isConnected) return;
    const { context: c, width } = sheet(canvas, top(rows.length) + 20), { x } = axis(), wide = width - LEFT, theme = {};
    for (const key of ["ink", "soft", "line", "accent", "head", "back", "card"]) theme[key] = themed(root, `--${key}`);
    Object.assign(c, { font: `11px ${FONT}`, textBaseline: "middle", lineWidth: 1.5 });
    const lane = (i, segments, colours, text, colour, paint = () => {}) => {
      c.fillStyle = colour;
      c.fillText(text, 4, top(i) + ROW / 2, LEFT - 10);
      c.save(); c.beginPath(); c.rect(LEFT, 0, wide, 1e4); c.clip();
      [c.fillStyle, c.strokeStyle] = colours;
      for (const [a, b] of segments) {
        const box = [LEFT + x(a), top(i) + 2, Math.max(x(b) - x(a), 1), ROW - 5];
        c.fillRect(...box);
        c.strokeRect(...box);
      }
      paint();
      c.restore();
    };
    const truth = get("truth")[get("video")] ?? [], { ink, soft, accent, card, head, back } = theme;
    lane(-1, truth, [soft, soft], "ground truth", ink, () => truth.forEach(([a, b], i) => {
      c.fillStyle = back;
      c.fillText(i + 1, LEFT + x((a + b) / 2) - 3, top(-1) + ROW / 2);
    }));
    rows.forEach((row, i) => {
      const colour = i === chosen ? accent : row.gone ? soft : ink, filled = row.right ? accent : card;
      lane(i, [row.segment], [filled, row.gone ? soft : accent], named(row), colour, () => {
        c.fillStyle = head;
        const marks = i === chosen && !get("steps").length ? row.segment : [];
        marks.forEach((t, k) => c.fillRect(LEFT + x(t) - (k === edge ? 2 : 1), top(i), k === edge ? 4 : 2, ROW - 1));
      });
    });
    drawAxis(c, { span: bus.span, time: NaN }, { left: LEFT, wide, top: top(rows.length), duration: get("duration") }, [soft, head, back]);
    if (!below.hidden) drawCurve(plot, { points: now.points, rows: all, marked: rows[chosen] }, theme);
  });
  const fill = () => {
    const [truth, tiou, steps] = [get("truth"), get("tiou"), get("steps")], total = Object.values(truth).flat().length;
    all = matched(truth, get("predictions"), tiou);
    now = precisionRecall(all, total);
    const here = all.filter((row) => row.video === get("video"));
    const few = here.length > MOST ? ` Of ${here.length} predictions in this video the best ${MOST} are drawn.` : "";
    rows = steps.length ? steps : here.slice(0, MOST);
    chosen = Math.max(0, Math.min(chosen, rows.length - 1));
    [title.textContent, below.hidden] = [get("title"), steps.length > 0];
    says.textContent = rows[chosen] ? `${rows[chosen].segment.map((t) => t.toFixed(2)).join(" to ")} s: ${
      named(rows[chosen])}` : "Nothing is found here.";
    told.textContent = `AP of this class at tIoU ${tiou.toFixed(2)}, over all videos: ${(100 * now.ap).toFixed(1)} %. ${
      all.filter((row) => row.right).length} of ${total} found.${few}`;
    if (get("ap") !== now.ap) put(model, { ap: now.ap });
    draw();
  };
  const move = (time) => {
    if (!rows.length || get("steps").length) return;
    const { index, segment } = rows[chosen], at = [...segment], found = get("predictions"), video = get("video");
    const [from, to] = edge ? [at[0] + 0.01, get("duration")] : [0, at[1] - 0.01];
    at[edge] = Math.min(Math.max(time, from), to);
    const moved = found[video].map((one, i) => (i === index ? [...at, one[2]] : one));
    put(model, { predictions: { ...found, [video]: moved } });
  };
  const pick = (i, k = edge) => { [chosen, edge] = [i, k]; fill(); };
  canvas.addEventListener("pointerdown", ({ offsetX, offsetY, pointerId }) => {
    const i = Math.floor((offsetY - top(0)) / ROW), { x } = axis();
    if (!rows[i]) return;
    const gaps = rows[i].segment.map((t) => Math.abs(LEFT + x(t) - offsetX));
    pick(i, Number(gaps[1] <= gaps[0]));
    held = gaps[edge] <= NEAR;
    if (held) canvas.setPointerCapture(pointerId);
  });
  canvas.addEventListener("pointermove", ({ offsetX }) => held && move(axis().time(offsetX - LEFT)));
  canvas.addEventListener("pointerup", () => { held = false; });
  const nudge = (by) => move((rows[chosen]?.segment[edge] ?? 0) + by);
  keys(root, { ArrowUp: () => pick(chosen - 1), ArrowDown: () => pick(chosen + 1), s: () => pick(chosen, 0),
    e: () => pick(chosen, 1), ArrowLeft: (event) => nudge(event.shiftKey ? -0.5 : -0.1),
    ArrowRight: (event) => nudge(event.shiftKey ? 0.5 : 0.1) });
  const ends = [watch(root, draw), attend({ model, el }, root), bus.close, listen(model, changes(["title", "truth", "predictions", "video", "duration",
    "tiou", "steps"], once(fill)))];
  bus.on(draw);
  el.append(root);
  fill();
  return () => ends.forEach((end) => end());
}
export default { render };
