# NAME: keeps paid orders, and marks them as seen. Nothing has to be built: name this file in the pipeline, and the engine
# beside it with the digest that stands in engine.sha256:
#
#   transform: { py: NAME.py, engine: { wasm: python.wasm, sha256: … } }
def map(order):
    if not isinstance(order, dict):
        raise ValueError("the value is not a JSON object")
    if not order.get("paid"):
        return None  # filtered
    return {"seen": True, **order}
