// Edit labelled segments: the twin of `edits.py`, which says what each function does; one table of cases tests both.
const NOTED = ["at", "by", "presses", "from"], SHORTEST = 0.01;
const least = (video) => (video.fps ? 1 / video.fps : SHORTEST);
const replaced = (records, old, fresh) => {
  const gone = new Set(old.map(({ id }) => id));
  return [...records.filter(({ id }) => !gone.has(id)), ...fresh].sort((a, b) => a.id - b.id);
};

// The state after an operation, the one given where it changes nothing; throws an Error where it cannot.
function applied(state, op, video) {
  if (op.what === "undo") return wentBack(state, "changes", "undone");
  if (op.what === "redo") return wentBack(state, "undone", "changes");
  const [before, after] = changed(state, op, video);
  if (JSON.stringify(before) === JSON.stringify(after)) return state;
  const change = { what: op.what, before, after };
  for (const key of NOTED) if (key in op) change[key] = op[key];
  return { records: replaced(state.records, before, after), changes: [...state.changes, change], undone: [],
    made: Math.max(state.made, ...after.map(({ id }) => id)) };
}

function wentBack(state, source, target) {
  const change = state[source].at(-1), { before, after } = change ?? {};
  if (!change) return state;
  const [old, fresh] = source === "changes" ? [after, before] : [before, after];
  return { ...state, records: replaced(state.records, old, fresh), [source]: state[source].slice(0, -1),
    [target]: [...state[target], change] };
}

function unsavedCount(records, saved) {
  const [now, then] = [records, saved].map((some) => new Map(some.map((record) => [record.id, record])));
  const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);
  return [...new Set([...now.keys(), ...then.keys()])].filter((id) => !same(now.get(id), then.get(id))).length;
}

function filled(document, videoId, records, classes) {
  const { database } = document, numbers = new Map();
  for (const { annotations = [] } of Object.values(database)) {
    for (const item of annotations) if ("label_id" in item) numbers.set(item.label, item.label_id);
  }
  const items = records.map(({ id, ...item }) => item), listed = document.classes;
  for (const item of numbers.size ? items : []) {
    if (!numbers.has(item.label)) numbers.set(item.label, Math.max(...numbers.values()) + 1);
    item.label_id = numbers.get(item.label);
  }
  const more = listed ? { classes: [...listed, ...classes.filter((name) => !listed.includes(name))] } : {};
  return { ...document, ...more, database: { ...database, [videoId]: { ...database[videoId], annotations: items } } };
}

function near(time, op, borders) {
  const marks = [...((op.playhead ?? null) === null ? [] : [op.playhead]), ...borders];
  const nearest = marks.reduce((best, mark) => (Math.abs(mark - time) < Math.abs(best - time) ? mark : best), Infinity);
  return Math.abs(nearest - time) <= (op.within ?? 0) && !op.free ? nearest : null;
}

function snapped(given, op, { fps, duration }, borders = []) {
  const time = Math.min(Math.max(given, 0), duration);
  return near(time, op, borders) ?? (op.free || !fps ? time : Math.min(Math.floor(time * fps + 0.5) / fps, duration));
}

function checked(record, op, video) {
  const [begin, end] = record.segment;
  if (op.what === "accept" ? end > begin : end - begin > 0.5 * least(video)) return record;
  const advice = op.what === "split" ? "put the playhead inside of it" : "give it more time";
  throw new Error(`the segment would be shorter than a frame: ${advice}`);
}

// The records that an operation takes away, and those that it puts in their place.
function changed({ records, made }, op, video) {
  const { what } = op, times = (some) => some.flatMap(({ segment }) => segment);
  if ("label" in op && !op.label.trim()) throw new Error("the label is empty: choose a class, or type a new one");
  if (what === "create" || what === "accept") {
    const exact = what === "accept" ? { ...op, free: true } : op, borders = times(records);
    const segment = op.segment.map((time) => snapped(time, exact, video, borders)).sort((a, b) => a - b);
    return [[], [checked({ label: op.label, segment, id: made + 1 }, op, video)]];
  }
  const old = records.find(({ id }) => id === op.id), [begin, end] = old?.segment ?? [];
  if (!old) throw new Error(`there is no segment with the id ${op.id}: select one`);
  const placed = (segment, more) => checked({ ...old, segment, ...more }, op, video);
  const others = () => times(records.filter((record) => record !== old));
  const ways = {
    delete: () => [],
    relabel: () => [{ ...old, label: op.label }],
    split: () => {
      const time = snapped(op.time, op, video);
      return [placed([begin, time]), placed([time, end], { id: made + 1 })];
    },
    move_edge: () => {
      const time = snapped(op.time, op, video, others()), short = least(video);
      return [placed(op.edge ? [begin, Math.min(Math.max(time, begin + short), video.duration)]
        : [Math.max(Math.min(time, end - short), 0), end])];
    },
    move: () => {
      const length = end - begin, last = Math.max(video.duration - length, 0), borders = others();
      const from = Math.min(Math.max(op.time, 0), last);
      const found = [0, length].map((shift) => [near(from + shift, op, borders), shift])
        .filter(([mark]) => mark !== null).map(([mark, shift]) => mark - shift - from);
      const to = found.length ? from + found.reduce((a, b) => (Math.abs(b) < Math.abs(a) ? b : a))
        : snapped(from, { free: op.free }, video);
      const at = Math.min(Math.max(to, 0), last);
      return [placed([at, Math.min(at + length, video.duration)])];
    },
  };
  if (what !== "merge") return [[old], ways[what]()];
  const [next] = records.filter(({ label, id, segment: [first] }) => label === old.label
    && (first > begin || (first === begin && id > old.id))).sort((a, b) => a.segment[0] - b.segment[0] || a.id - b.id);
  if (!next) throw new Error(`there is no later segment of ${old.label} to merge with`);
  return [[old, next], [placed([begin, Math.max(end, next.segment[1])])]];
}
