// The SDK outside of streamproc: asc builds plugins, and ../host.mjs runs them.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import asc from "assemblyscript/asc";
import { load } from "../host.mjs";

const here = import.meta.dirname, members = path.join(here, "../../../testdata/members/members.ts");
let made;
before(async () => { made = await mkdtemp(path.join(tmpdir(), "sp1-")); });
after(() => rm(made, { recursive: true }));

async function build(source, ...flags) {
  const to = path.join(made, "guest.wasm");
  const { error, stderr } = await asc.main([source, "--baseDir", path.parse(here).root, "--runtime", "incremental", "-o", to, ...flags]);
  assert.equal(error, null, stderr.toString());
  return readFile(to);
}

test("a plugin answers each record, and uses what the host does for it", async (t) => {
  const module = await build(path.join(here, "guest.ts"));
  const open = (options) => load(module, { start: { config: "here" }, ...options });

  await t.test("every record gets its verdict, and one that is not replaced puts nothing", async () => {
    const plugin = await open();
    assert.deepEqual(plugin.run(["keep", "drop", "fail", null, "none", "a", ""]), [
      { verdict: "keep", outputs: [] },
      { verdict: "drop", outputs: [] },
      { verdict: "fail", outputs: [], error: "größer als 3" },
      { verdict: "keep", outputs: [] },
      { verdict: "replaced", outputs: [] },
      { verdict: "replaced", outputs: [{ value: "aa" }] },
      { verdict: "replaced", outputs: [{ value: "" }] },
    ]);
    assert.deepEqual(plugin.run(["keep"]), [{ verdict: "keep", outputs: [] }]);
  });

  await t.test("an output has the key, the timestamp and the place that it is given", async () => {
    assert.deepEqual((await open()).run(["two"])[0].outputs, [{ value: "first", key: "two", timestamp: 9, to: 2 }, { value: "" }]);
  });

  await t.test("the rest of a record is read", async () => {
    const plugin = await open(), seen = (r) => plugin.run([{ value: "record", timestamp: 5, offset: 50_000_000_000, partition: 7, ...r }])[0].outputs[0].value;
    assert.equal(seen({ key: "größer", headers: { trace: "1", other: "2" } }), "größer 5 50000000000 7 1");
    assert.equal(seen({ key: "", headers: { trace: null } }), " 5 50000000000 7 null");
    assert.equal(seen({}), "null 5 50000000000 7 null");
  });

  await t.test("a batch may be large, and one after it small", async () => {
    const plugin = await open(), large = "x".repeat(100_000);
    assert.deepEqual(plugin.run(Array(100).fill(large)).map((r) => r.outputs), Array(100).fill([{ value: large + large }]));
    assert.deepEqual(plugin.run(Array(1_000).fill("a")).map((r) => r.outputs), Array(1_000).fill([{ value: "aa" }]));
  });

  await t.test("the host logs, counts, tells the time and looks up", async () => {
    const plugin = await open({ kv: { a: "b", long: "x".repeat(5_000) }, now: 1004 });
    assert.equal(plugin.run(["host"])[0].outputs[0].value, "1004 b 5000");
    assert.deepEqual([plugin.logged, plugin.counted], [[{ level: 2, text: "said" }], { 1: 2 }]);
    assert.equal((await open()).run(["host"])[0].outputs[0].value, "0 null null");
  });

  await t.test("a start message can be refused, and has no lookups", async () => {
    await assert.rejects(load(module), { message: "config: a text is missing" });
    await assert.rejects(open({ start: { config: "early" } }), /kvGet outside of a call for records/);
  });

  await t.test("what a plugin throws says where", async () => {
    const plugin = await open();
    assert.throws(() => plugin.run(["trap"]), /on purpose at .*guest\.ts:\d+:/);
  });
});

const table = (await readFile(path.join(here, "../../members.txt"), "utf8")).split("\n")
  .filter((line) => line.includes(" => ") && !line.startsWith("#"))
  .map((line) => line.replaceAll("~", "\n").replaceAll("^", "\t").split(" => "));

for (const [how, flags] of [["in vectors", ["--enable", "simd"]], ["byte by byte", []]])
  test(`members are those of the table, ${how}`, async () => {
    const plugin = await load(await build(members, ...flags));
    assert.ok(table.length >= 50);
    for (const [text, want] of table)
      for (let blanks = 0; blanks < 33; blanks++)
        assert.equal(plugin.run([" ".repeat(blanks) + text])[0].outputs[0].value, want, `${JSON.stringify(text)} behind ${blanks} blanks`);
    const text = '{"a":"a text of more than sixteen bytes","b":[1,{"c":"\\"]"}],"price":-12.5}';
    for (let n = 0; n < text.length; n++) assert.equal(plugin.run([text.slice(0, n)])[0].outputs[0].value, "!", `${n} bytes`);
  });
