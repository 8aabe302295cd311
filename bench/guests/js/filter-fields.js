// Keeps every bid, by two fields.
export const filter = v => v.price >= 100 && v.channel !== "";
export const fields = ["price", "channel"];
