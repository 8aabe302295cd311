// What scripts may do, and behind @ts-expect-error what an editor has to underline.
import notes from "./notes.txt";

export const fields = ["price"];

export function filter(value: any, rec: Rec): boolean {
  console.log(value, rec.topic, rec.partition + rec.offset);
  // @ts-expect-error: a null key has no length
  console.warn(rec.key.length);
  // @ts-expect-error: a record is not changed
  rec.timestamp = 0;
  // @ts-expect-error: a header may be missing, or null
  const trace: string = rec.headers["trace"];
  return trace === notes.trim() && new Date(rec.timestamp).getUTCHours() < 12;
}

export function map(order: { user: number }): object | undefined {
  const user = kvGet(order.user) ?? kvGet(`${order.user}`);
  // @ts-expect-error: a key is a text or a number
  kvGet({});
  // @ts-expect-error: there may be no such key
  user.length;
  if (user === null) return undefined;
  const bytes: Uint8Array = new TextEncoder().encode(user);
  return { user: new TextDecoder().decode(bytes), price: JSON.rawJSON("1.50") };
}

// @ts-expect-error: there are no timers
setTimeout(() => {}, 1);
// @ts-expect-error: there is no network
fetch("http://example.com");
