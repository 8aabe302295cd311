// NAME: keeps paid orders, and marks them as seen. Nothing has to be built: name this file in the pipeline.
export function map(order) {
  if (typeof order !== "object" || order === null || Array.isArray(order)) throw new Error("the value is not a JSON object");
  if (!order.paid) return undefined; // filtered
  return { seen: true, ...order };
}
