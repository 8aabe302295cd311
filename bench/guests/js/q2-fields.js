// NEXMark query 2: of the bids for one auction in 123, the auction and the price.
export const filter = v => v.auction % 123 === 0;
export const map = v => ({ auction: v.auction, price: v.price });
export const fields = ["auction", "price"];
