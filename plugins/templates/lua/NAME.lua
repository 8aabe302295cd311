-- NAME: keeps paid orders, and marks them as seen. Nothing has to be built: name this file in the pipeline.
function map(order)
  if type(order) ~= "table" or #order > 0 then error("the value is not a JSON object") end
  if not order.paid then return nil end -- filtered
  order.seen = true
  return order
end
