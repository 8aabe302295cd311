// Runs inside the engine, before the author's script. What it needs of the language it takes first, so that a script
// that changes a built-in changes itself only. The host calls start once, and then one function for each batch.
(function (hostLog, hostLookup) {
  "use strict";
  const { parse, stringify } = JSON;
  const { isArray } = Array;
  const Function_ = Function, InternalError_ = InternalError, SyntaxError_ = SyntaxError, Promise_ = Promise, Uint8Array_ = Uint8Array, ArrayBuffer_ = ArrayBuffer;

  const show = v => typeof v === "string" ? v : v instanceof Error ? String(v) : stringify(v) ?? String(v);
  globalThis.console = {};
  for (const [level, names] of [[0, ["debug", "trace"]], [1, ["log", "info"]], [2, ["warn"]], [3, ["error"]]])
    for (const name of names) console[name] = (...args) => hostLog(level, `${args.map(show).join(" ")}`); // a string, whatever join is by now

  globalThis.kvGet = key => {
    const found = hostLookup(`${key}`);
    if (found === undefined) throw new Error("kvGet is for records, in a plugin that is given something to read: kv: { store: NAME, prefix: TEXT }");
    return found === "" ? null : found.slice(1);
  };

  globalThis.TextEncoder = class TextEncoder {
    encode(text = "") { return Uint8Array_.from(unescape(encodeURIComponent(text)), c => c.charCodeAt(0)); }
  };
  globalThis.TextDecoder = class TextDecoder {
    decode(bytes) {
      const u = new Uint8Array_(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, bytes.byteLength);
      let latin = "";
      for (let i = 0; i < u.length; i += 4096) latin += String.fromCharCode(...u.subarray(i, i + 4096));
      return decodeURIComponent(escape(latin));
    }
  };

  // Running out of memory ends the whole call: what comes after it in a full heap is not to blame.
  const fatal = e => e instanceof InternalError_ && e.message === "out of memory";
  const told = e => stringify(e instanceof Error ? { name: String(e.name), message: String(e.message), stack: String(e.stack ?? "") } : { message: show(e) });
  const sync = (name, r) => {
    if (typeof r === "object" && r instanceof Promise_) throw new TypeError(`${name} returned a Promise; a script must answer at once`);
    return r;
  };

  const list = r => {
    if (r === undefined) return [];
    if (!isArray(sync("flatMap", r))) throw new TypeError("flatMap must return an array");
    return r;
  };
  // wantsRecord says whether f may look at its second parameter. In doubt it does.
  const wantsRecord = f => {
    if (f === undefined) return false;
    const text = String(f), parameters = text.slice(0, text.search(/=>|\)|\{/));
    return f.length !== 1 || /=|\.\.\./.test(parameters) || /\barguments\b/.test(text);
  };

  let filter, map, flatMap, fields, objectOf, cursor;

  // maker returns a function that makes the object of some fields, whose values stand in a list from a place on.
  const maker = names => {
    const label = name => name === "__proto__" ? `["__proto__"]` : stringify(name); // in brackets it is a name as any other
    const members = names.map((name, i) => `${label(name)}: list[at + ${i}]`);
    return Function_("list", "at", `"use strict"; return { ${members.join(", ")} };`);
  };
  // each runs the functions over n values, and hands what becomes of each to one, which writes it down.
  const each = (n, value, recs, out) => {
    for (let i = 0; i < n; i++) {
      cursor[0] = i;
      try {
        const v = value(i), rec = recs && recs[i];
        if (filter !== undefined && !sync("filter", filter(v, rec))) out.drop();
        else if (map !== undefined) out.one(sync("map", map(v, rec)));
        else if (flatMap !== undefined) out.put(list(flatMap(v, rec)));
        else out.keep();
      } catch (e) {
        if (fatal(e)) throw e;
        out.fail(e);
      }
    }
  };

  return {
    start(plugin, config, cell) {
      if (plugin === undefined) throw new TypeError("nothing is exported: write export before filter, map or flatMap");
      cursor = new Int32Array(cell);
      ({ filter, map, flatMap } = plugin);
      for (const [name, f] of [["filter", filter], ["map", map], ["flatMap", flatMap], ["init", plugin.init]])
        if (f !== undefined && typeof f !== "function") throw new TypeError(`the export ${name} is no function`);
      if (plugin.fields !== undefined) {
        if (!isArray(plugin.fields) || !plugin.fields.every(f => typeof f === "string")) throw new TypeError("the export fields is no list of names");
        fields = [...plugin.fields];
        objectOf = maker(fields);
      }
      if (plugin.init !== undefined) sync("init", plugin.init(parse(config)));
      const has = (filter ? 1 : 0) | (map ? 2 : 0) | (flatMap ? 4 : 0) | ([filter, map, flatMap].some(wantsRecord) ? 8 : 0);
      return stringify({ has, fields });
    },

    // json takes values by line, and answers by line: = keep, - drop, > one output, * a number of outputs and these in
    // the lines after it, ? not JSON, ! an error. For a script that wants fields it takes one list: see writeFields in
    // package script.
    json(text, recs) {
      cursor[0] = 0;
      const values = fields === undefined ? text.split("\n") : parse(text), lines = [];
      let bad = false, count = values.length, value = i => {
        try {
          return parse(values[i]);
        } catch (e) {
          bad = e instanceof SyntaxError_;
          throw e;
        }
      };
      if (fields !== undefined) {
        const width = values[0] === 1 ? fields.length : 1;
        count = (count - 1) / width;
        value = values[0] === 1 ? i => objectOf(values, 1 + i * width) : i => values[1 + i];
      }
      const encode = r => {
        const line = stringify(r);
        if (line === undefined) throw new TypeError("the result has no form in JSON");
        return line;
      };
      each(count, value, recs && parse(recs), {
        keep() { lines.push("="); },
        drop() { lines.push("-"); },
        one(r) { lines.push(r === undefined ? "-" : ">" + encode(r)); },
        put(list) {
          const some = list.filter(r => r !== undefined).map(encode);
          if (some.length === 1) lines.push(">" + some[0]);
          else if (some.length === 0) lines.push("-");
          else lines.push("*" + some.length, ...some);
        },
        fail(e) {
          lines.push(bad ? "?" : "!" + told(e));
          bad = false;
        },
      });
      return lines.join("\n");
    },

    // bytes takes values one after the other in a buffer, with their lengths, and answers in the lines of json, except
    // that > and * are followed by lengths, and the bytes are in the buffer returned by taken.
    bytes(buffer, lengths, recs) {
      const ends = parse(lengths), lines = [], parts = [];
      let at = 0, total = 0;
      const encode = r => {
        if (typeof r === "string") return new TextEncoder().encode(r);
        if (r instanceof Uint8Array_) return r;
        if (r instanceof ArrayBuffer_) return new Uint8Array_(r);
        throw new TypeError("with decode: bytes the result must be a Uint8Array or a string");
      };
      each(ends.length, i => {
        const from = at;
        at += ends[i];
        return new Uint8Array_(buffer, from, ends[i]).slice();
      }, recs && parse(recs), {
        keep() { lines.push("="); },
        drop() { lines.push("-"); },
        one(r) { this.put([r]); },
        put(list) {
          const some = list.filter(r => r !== undefined).map(encode);
          for (const p of some) total += p.length;
          parts.push(...some);
          if (some.length === 0) lines.push("-");
          else lines.push((some.length === 1 ? ">" : "*") + some.map(p => p.length).join(" "));
        },
        fail(e) { lines.push("!" + told(e)); },
      });
      const all = new Uint8Array_(total);
      let to = 0;
      for (const p of parts) {
        all.set(p, to);
        to += p.length;
      }
      return [lines.join("\n"), all.buffer];
    },
  };
})
