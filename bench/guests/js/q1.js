// NEXMark query 1: a bid in euros, without the fields that nobody reads.
export const map = v => ({ auction: v.auction, bidder: v.bidder, price: JSON.rawJSON((v.price * 0.908).toFixed(3)), channel: v.channel, dateTime: v.dateTime });
