# Runs in the engine before the author's script: it loads that, and then answers batch after batch. A batch comes as three
# lengths of four bytes and as many parts: the values, their lengths if they are bytes, and what else is known of each
# record. The first one has the script. What goes out is a letter, a length and so many bytes: see send.
import sys
from array import array
from json import JSONDecoder, JSONEncoder, dumps, loads
from json.encoder import c_make_encoder, encode_basestring, encode_basestring_ascii
from os import _exit, read, write

OUT_OF_MEMORY = 77


def take(size):
    part = read(0, size)
    while len(part) < size:
        more = read(0, size - len(part))
        if not more:
            _exit(0)
        part += more
    return part


def receive():
    head = take(12)
    return [take(int.from_bytes(head[i : i + 4], "little")) for i in (0, 4, 8)]


def send(kind, part):
    """Kinds are 0 to 3, a line for the log and its level; R, ready; E, the script cannot be used; A, answers; O, outputs; K, a
    key to look up, which is answered by a length and so many bytes."""
    part = kind + len(part).to_bytes(4, "little") + part
    while part:
        part = part[write(1, part) :]


class Log:
    """A text file whose lines go to the log."""

    encoding, errors = "utf-8", "replace"

    def __init__(self, level):
        self.level, self.rest = level, ""

    def write(self, text):
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            send(self.level, line.encode("utf-8", "replace"))
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return False


def kv_get(key):
    """The value of a key in the store that the configuration gives the plugin (kv), as text, or None."""
    send(b"K", str(key).encode("utf-8", "replace"))
    found = take(int.from_bytes(take(4), "little")).decode("utf-8", "replace")
    if found == "?":
        raise RuntimeError("kv_get is for records, in a plugin that is given something to read: kv: { store: NAME, prefix: TEXT }")
    return None if found == "-" else found[1:]


class Neighbours:
    """Finds the modules that stand beside the script."""

    def find_spec(self, name, path=None, target=None):
        return Spec(name, self, origin=files[name]) if name in codes else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(codes[module.__name__], module.__dict__)


def no_constant(word):
    raise ValueError(word)


raw_decode = JSONDecoder(parse_constant=no_constant).raw_decode


def decode(text):
    text = text.strip(" \t\r")
    value, end = raw_decode(text)
    if end != len(text):
        raise ValueError("there is more behind it")
    return value


def encoder(string):
    """JSONEncoder.encode makes an encoder for each value, which costs as much as using it."""
    default = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if c_make_encoder is None:
        return default.encode
    chunks = c_make_encoder(None, default.default, string, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


encode, encode_ascii = encoder(encode_basestring), encoder(encode_basestring_ascii)
Spec, Module, Record = type(sys.__spec__), type(sys), type(sys.implementation)
sys.stdin, sys.stdout, sys.stderr = None, Log(b"1"), Log(b"2")
sys.meta_path.insert(0, Neighbours())
sys.modules["streamproc"] = Module("streamproc")
sys.modules["streamproc"].kv_get = kv_get

start = loads(receive()[0])
name, as_bytes = start["name"], start["bytes"]
files = {m["name"]: m["file"] for m in start["modules"]}
paths = set(files.values())
codes = {}
cursor = array("i", [0])
functions = {}


def place(error):
    """Says where in the author's files an error comes from, and in which function."""
    if isinstance(error, SyntaxError) and error.filename in paths:
        return f"{error.filename}:{error.lineno}:{error.offset}: ", ""
    code = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in paths:
            code, at, line = trace.tb_frame.f_code, trace.tb_lasti // 2, trace.tb_lineno
        trace = trace.tb_next
    if code is None:
        return f"{files[name]}: ", ""
    column = ""
    for n, position in enumerate(code.co_positions()):
        if n == at and position[2] is not None:
            column = f"{position[2] + 1}:"
    inside = "" if code.co_name.startswith("<") else f" (in {code.co_name})"
    return f"{code.co_filename}:{line}:{column} ", inside


def explain(error):
    where, inside = place(error)
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except BaseException:
        text = ""
    text = f"{type(error).__name__}: {text[:1000]}" if text else type(error).__name__
    return (where + text + inside).encode("utf-8", "replace")


def function(module, word):
    """Finds one of the functions, and whether it takes the record too."""
    f = module.__dict__.get(word)
    if f is None:
        return None
    if not hasattr(f, "__code__"):
        raise TypeError(f"{word} is no function")
    code = f.__code__
    if code.co_flags & 0x280 or code.co_flags & 0x20 and word != "flat_map":
        raise TypeError(f"{word} is async or a generator; a script must answer at once")
    if word != "init" and code.co_argcount < 2 and not code.co_flags & 4:
        return lambda value, record: f(value)
    functions["record"] = word != "init" or functions["record"]
    return f


def wanted(module):
    """The fields of values that the script wants, or None: it gets values as they are."""
    names = module.__dict__.get("fields")
    if names is None or callable(names):
        return None
    if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
        raise TypeError("fields is no list of names")
    return list(names)


def load():
    """Runs the script, and tells it its configuration."""
    for other in files:
        sys.modules.pop(other, None)
    module = sys.modules[name] = Module(name)
    module.__file__ = files[name]
    exec(codes[name], module.__dict__)
    functions.update(record=False, fields=wanted(module))
    functions.update({word: function(module, word) for word in ("filter", "map", "flat_map", "init")})
    if functions["init"] is not None:
        functions["init"](loads(start["config"]))


def encoded(value):
    if as_bytes:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        raise TypeError("with decode: bytes the result must be bytes or a str")
    text = encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates, which has a form in ASCII only
        return encode_ascii(value).encode()


def answer(value, record, outputs):
    """Answers one record, in a line: see package script."""
    keep, one, many = functions["filter"], functions["map"], functions["flat_map"]
    if keep is not None and not keep(value, record):
        return b"-"
    if one is not None:
        result = one(value, record)
        if result is None:
            return b"-"
        result = encoded(result)
        if not as_bytes:
            return b">" + result
        outputs.append(result)
        return b">%d" % len(result)
    if many is None:
        return b"="
    results = many(value, record)
    if results is None:
        return b"-"
    if isinstance(results, (str, bytes, bytearray, dict)):
        raise TypeError("flat_map must return a list")
    some = [encoded(r) for r in results if r is not None]
    if not some:
        return b"-"
    if as_bytes:
        outputs.extend(some)
        return b"*" + b" ".join(b"%d" % len(r) for r in some)
    return b"*%d\n" % len(some) + b"\n".join(some)


def values(text, lengths):
    if not as_bytes:
        return text.decode().split("\n")
    at, all = 0, []
    for length in loads(lengths):
        all.append(text[at : at + length])
        at += length
    return all


def process(text, lengths, records):
    """Answers a batch, and says whether the script is to start afresh."""
    lines, outputs, failed, record = [], [], False, None
    records = loads(records) if records else None
    for i, value in enumerate(values(text, lengths)):
        cursor[0] = i
        if not as_bytes:
            try:
                value = decode(value)
            except (ValueError, RecursionError):
                lines.append(b"?")
                continue
        if records is not None:
            record = Record(**records[i])
        mark = len(outputs)
        try:
            lines.append(answer(value, record, outputs))
        except MemoryError:  # what comes after it in a full heap is not to blame
            _exit(OUT_OF_MEMORY)
        except BaseException as error:
            del outputs[mark:]
            lines.append(b"!" + dumps(explain(error).decode()).encode())
            failed = True
    if as_bytes:
        send(b"O", b"".join(outputs))
    send(b"A", b"\n".join(lines))
    return failed


def run():
    try:
        for m in start["modules"]:
            codes[m["name"]] = compile(m["text"], m["file"], "exec", dont_inherit=True)
        load()
    except MemoryError:
        _exit(OUT_OF_MEMORY)
    except BaseException as error:
        send(b"E", explain(error))
        _exit(1)
    address, _ = cursor.buffer_info()
    send(b"R", dumps({"cursor": address, **{word: f if word == "fields" else bool(f) for word, f in functions.items()}}).encode())
    failed = False
    while True:
        batch = receive()
        if failed:
            load()
        failed = process(*batch)


run()
