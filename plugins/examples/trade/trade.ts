/// <reference path="../../sdk/ts/script.d.ts" />
import { cents } from "./money";

interface Trade { symbol: string; price: number; quantity: number }

let least = 0;

export function init(config: { least?: number }): void {
  least = config.least ?? 0;
}

export function filter(trade: Trade): boolean {
  return trade.price * trade.quantity >= least;
}

export function map(trade: Trade, rec: Rec): object {
  return { symbol: trade.symbol.toUpperCase(), cents: cents(trade.price * trade.quantity), at: new Date(rec.timestamp).toISOString() };
}
