// Reads what widgets/packed.py has made small: values of traits, and the code of a widget.
const LENGTHS = Array.from({ length: 29 }, (_, i) => { // [shortest, bits to add] of a repeat, RFC 1951, 3.2.5
  const extra = Math.max((i >> 2) - 1, 0);
  return i === 28 ? [258, 0] : [3 + (i < 4 ? i : (4 + (i & 3)) << extra), extra];
});
const DISTANCES = Array.from({ length: 30 }, (_, i) => {
  const extra = Math.max((i >> 1) - 1, 0);
  return [1 + (i < 2 ? i : (2 + (i & 1)) << extra), extra];
});
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const FIXED = [[144, 8], [112, 9], [24, 7], [8, 8]].flatMap(([count, bits]) => Array(count).fill(bits));

// The `size` bytes of zlib data (RFC 1950, 1951): at once, where the browser's own DecompressionStream takes its time.
function inflate(data, size) {
  const out = new Uint8Array(size);
  let at = 16, end = 0, last = 0; // `at`: bits read; two bytes are zlib's header
  const peek = () => {
    const i = at >> 3;
    return (data[i] | (data[i + 1] << 8) | (data[i + 2] << 16) | (data[i + 3] << 24)) >>> (at & 7);
  };
  const read = (count) => { const value = peek() & ((1 << count) - 1); at += count; return value; };
  const tree = (bits) => { // what the next 15 bits begin with: a symbol, times 16, and the number of its bits
    const table = new Uint16Array(1 << 15);
    for (let n = 1, code = 0; n < 16; n += 1, code <<= 1) {
      for (let symbol = bits.indexOf(n); symbol >= 0; symbol = bits.indexOf(n, symbol + 1), code += 1) {
        let mirrored = 0;
        for (let i = 0; i < n; i += 1) mirrored |= ((code >> i) & 1) << (n - 1 - i);
        for (let i = mirrored; i < table.length; i += 1 << n) table[i] = symbol * 16 + n;
      }
    }
    return table;
  };
  const next = (table) => {
    const found = table[peek() & (table.length - 1)];
    if (!found) throw new Error("a packed value is damaged: run the cell again");
    at += found & 15;
    return found >> 4;
  };
  const trees = () => {
    const [literals, distances, few] = [read(5) + 257, read(5) + 1, read(4) + 4], short = Array(19).fill(0), bits = [];
    for (let i = 0; i < few; i += 1) short[ORDER[i]] = read(3);
    for (const lengths = tree(short); bits.length < literals + distances;) {
      const n = next(lengths), repeats = [[bits.at(-1), 3, 2], [0, 3, 3], [0, 11, 7]];
      const [value, least, extra] = repeats[n - 16] ?? [n, 1, 0];
      bits.push(...Array(least + read(extra)).fill(value));
    }
    return [tree(bits.slice(0, literals)), tree(bits.slice(literals))];
  };
  while (!last) {
    last = read(1);
    const kind = read(2), stored = !kind && (at = (at + 7) & ~7, [read(16), read(16)][0]);
    for (let i = 0; i < stored; i += 1) out[end++] = read(8);
    const [literals, distances] = kind ? kind === 1 ? [tree(FIXED), tree(Array(30).fill(5))] : trees() : [];
    for (let n; kind && (n = next(literals)) !== 256;) {
      if (n < 256) { out[end++] = n; continue; }
      const [least, extra] = LENGTHS[n - 257], stop = end + least + read(extra);
      const [near, more] = DISTANCES[next(distances)], back = near + read(more);
      for (; end < stop; end += 1) out[end] = out[end - back];
    }
  }
  return out;
}

const known = new WeakMap(); // a packed value -> what it is
function unpacked(value) {
  if (!value?.deflated) return value;
  if (!known.has(value)) {
    const { buffer, byteOffset, byteLength } = value.deflated;
    const bytes = inflate(new Uint8Array(buffer, byteOffset, byteLength), value.size);
    known.set(value, value.json ? JSON.parse(new TextDecoder().decode(bytes)) : new DataView(bytes.buffer));
  }
  return known.get(value);
}
