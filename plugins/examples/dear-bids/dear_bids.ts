/// <reference path="../../sdk/ts/script.d.ts" />
export const fields = ["price", "channel"]; // of a bid, all that the script sees

/** Keeps the dear bids of one channel, as dear-bids in Rust. */
export function filter({ price, channel }: { price?: any; channel?: any }): boolean {
  if (price === undefined || channel === undefined) throw "a bid has a price and a channel";
  if (!Number.isInteger(price) || typeof channel !== "string") throw "a price is a whole number, and a channel a text";
  return price >= 1_000_000 && channel === "Apple";
}
