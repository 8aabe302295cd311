// A host for tests in Node: it runs a module that is made with this SDK, without the limits that streamproc sets.
//
//   const plugin = await load(await readFile("paid.wasm"), { start: { config: { least: 5 } }, kv: { "7": "anna" } });
//   plugin.run(["{}", { key: "k", value: null }]); // [{ verdict: "fail", error: "…", outputs: [] }, { verdict: "keep", outputs: [] }]
const HEADER = 32, RECORD = 48, ENTRY = 16, NULL = 0xffffffff, INHERIT = 0x80000000, INHERIT_TIME = -(2n ** 63n);
const VERDICTS = ["keep", "drop", "fail", "replaced"];
const ABSENT = -1, REFUSED = -2;

const bytesOf = (text) => typeof text === "string" ? new TextEncoder().encode(text) : text ?? null;
const textOf = (bytes) => new TextDecoder().decode(bytes);

/** Instantiates a module and hands it the start message. It throws what the plugin refuses it with. */
export async function load(module, { start = {}, kv = {}, now = 0 } = {}) {
  const plugin = new Plugin(kv, now);
  const { instance } = await WebAssembly.instantiate(module, plugin.imports());
  plugin.exports = instance.exports;
  plugin.start({ plugin: "test", config: null, topics: [], outputs: [], metrics: [], ...start });
  return plugin;
}

class Plugin {
  /** Lines that were logged, { level, text }, and what counters have come to, by their places. */
  logged = [];
  counted = {};
  #kv;
  #now;
  #errors = new Map();
  #running = false;

  constructor(kv, now) {
    this.#kv = new Map(Object.entries(kv));
    this.#now = BigInt(now);
  }

  imports() {
    return {
      env: { abort: (message, file, line, column) => { throw new Error(`${this.#utf16(message)} at ${this.#utf16(file)}:${line}:${column}`); } },
      sp1: {
        error: (index, at, n) => this.#errors.set(index, this.#text(at, n)),
        log: (level, at, n) => this.logged.push({ level, text: this.#text(at, n) }),
        metric_add: (id, delta) => { this.counted[id] = (this.counted[id] ?? 0) + Number(delta); },
        now_ms: () => this.#now,
        kv_get: (key, n, to, room) => {
          if (!this.#running) return REFUSED;
          const value = bytesOf(this.#kv.get(this.#text(key, n)));
          if (value === null) return ABSENT;
          if (value.length <= room) this.#memory().set(value, to >>> 0);
          return value.length;
        },
      },
    };
  }

  start(message) {
    if (!this.exports.sp_init) return;
    const { at, length } = this.#hand(bytesOf(JSON.stringify(message)));
    if (this.exports.sp_init(at, length) !== 0) throw new Error(this.#errors.get(-1) ?? "the plugin refuses its start message");
  }

  /** Runs records as one batch: values, or { key, value, headers, timestamp, offset, partition }. Text is taken as UTF-8, and null is null. */
  run(records) {
    const { at, length } = this.#hand(batchOf(records));
    this.#errors.clear();
    const answer = this.#called(() => this.exports.sp_process(at, length));
    if (answer < 0n) throw new Error(this.#errors.get(-1) ?? `sp_process returns ${answer}`);
    const input = this.#memory().slice(at, at + length);
    const results = records.map((_, i) => ({ verdict: VERDICTS[input[HEADER + i * RECORD + 46]], outputs: [] }));
    results.forEach((r, i) => { if (r.verdict === "fail") r.error = this.#errors.get(i) ?? ""; });
    if (answer > 0n) outputsOf(this.#memory().slice(Number(answer >> 32n), Number(answer >> 32n) + Number(answer & 0xffffffffn)), results);
    return results;
  }

  /** Looks up for what is called here alone, as streamproc does. */
  #called(process) {
    this.#running = true;
    try {
      return process();
    } finally {
      this.#running = false;
    }
  }

  #hand(bytes) {
    const at = this.exports.sp_alloc(bytes.length) >>> 0;
    this.#memory().set(bytes, at);
    return { at, length: bytes.length };
  }

  #memory() { return new Uint8Array(this.exports.memory.buffer); }

  #text(at, n) { return textOf(this.#memory().slice(at >>> 0, (at >>> 0) + n)); }

  /** A string of AssemblyScript, which has its length in front. */
  #utf16(at) {
    const memory = this.exports.memory.buffer, n = new DataView(memory).getUint32((at >>> 0) - 4, true);
    return new TextDecoder("utf-16le").decode(new Uint8Array(memory, at >>> 0, n));
  }
}

function batchOf(records) {
  const data = [];
  let end = HEADER + records.length * RECORD;
  const put = (bytes) => {
    const at = end;
    data.push(bytes);
    end += bytes.length;
    return at;
  };
  const span = (view, at, bytes) => {
    view.setUint32(at + 4, bytes === null ? NULL : bytes.length, true);
    if (bytes !== null) view.setUint32(at, put(bytes), true);
  };
  const head = new DataView(new ArrayBuffer(end));
  records.forEach((given, i) => {
    const r = given !== null && typeof given === "object" && !(given instanceof Uint8Array) ? given : { value: given }, at = HEADER + i * RECORD;
    span(head, at, bytesOf(r.key));
    span(head, at + 8, bytesOf(r.value));
    const headers = Object.entries(r.headers ?? {}), entries = new DataView(new ArrayBuffer(headers.length * ENTRY));
    headers.forEach(([name, value], h) => {
      span(entries, h * ENTRY, bytesOf(name));
      span(entries, h * ENTRY + 8, bytesOf(value));
    });
    head.setUint32(at + 16, put(new Uint8Array(entries.buffer)), true);
    head.setUint32(at + 20, headers.length, true);
    head.setBigInt64(at + 24, BigInt(r.timestamp ?? 0), true);
    head.setBigInt64(at + 32, BigInt(r.offset ?? i), true);
    head.setUint32(at + 40, r.partition ?? 0, true);
  });
  header(head, records.length, end);
  return Buffer.concat([new Uint8Array(head.buffer), ...data]);
}

function header(view, count, length) {
  view.setUint32(0, 0x31425053, true);
  view.setUint16(4, 1, true);
  view.setUint16(6, RECORD, true);
  view.setUint32(8, count, true);
  view.setUint32(12, length, true);
}

/** Adds each output of a batch to its record. What an output leaves out is as in the record. */
function outputsOf(bytes, results) {
  const view = new DataView(bytes.buffer);
  for (let i = 0, n = view.getUint32(8, true); i < n; i++) {
    const at = HEADER + i * RECORD, output = {};
    for (const [name, from] of [["key", at], ["value", at + 8]]) {
      const offset = view.getUint32(from, true), length = view.getUint32(from + 4, true);
      if (offset !== INHERIT) output[name] = length === NULL ? null : textOf(bytes.subarray(offset, offset + length));
    }
    const timestamp = view.getBigInt64(at + 24, true), to = view.getUint16(at + 44, true);
    if (timestamp !== INHERIT_TIME) output.timestamp = Number(timestamp);
    if (to !== 0) output.to = to;
    results[view.getUint32(at + 40, true)].outputs.push(output);
  }
}
