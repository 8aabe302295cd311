/// <reference path="../../sdk/ts/script.d.ts" />
interface Bid { auction: number; bidder: number; price: number; channel: string; dateTime: string }

/** NEXMark query 1, as bid_price.c: a bid in dollars becomes one in euros, to the thousandth. */
export function map({ auction, bidder, price, channel, dateTime }: Bid): object {
  return { auction, bidder, price: JSON.rawJSON((price * 0.908).toFixed(3)), channel, dateTime };
}
