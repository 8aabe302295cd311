//! Members of a JSON object, found without parsing the rest: in vectors, which WebAssembly has with `-mcpu generic+simd128`,
//! and byte by byte where there are none. What has to be walked over is checked, not that the whole is JSON.
const std = @import("std");

const step = if (std.simd.suggestVectorLength(u8) == null) 1 else 16;
const Lanes = @Vector(step, u8);
const Marks = std.meta.Int(.unsigned, step);

/// The values of the members `names` of the object in `text`, as they are written: a string with its quotes and escapes. The
/// last of several counts, and one that is not there is null. The whole is null if this is no object. Members that come in
/// the order of `names` are found fastest. Names with escapes in the text are not recognised, and what follows the object is
/// not looked at.
///
///     const auction, const price = sp1.members(2, value, .{ "auction", "price" }) orelse return .{ .fail = "no object" };
pub fn members(comptime n: usize, text: []const u8, names: [n][]const u8) ?[n]?[]const u8 {
    var found = [_]?[]const u8{null} ** n;
    var next: usize = 0;
    var at = after(text, space(text, 0), '{') orelse return null;
    if (byte(text, at) == '}') return found;
    while (true) {
        const from = expect(text, at, '"') orelse return null;
        const close = string(text, from) orelse return null;
        const begin = after(text, space(text, close + 1), ':') orelse return null;
        const end = value(text, begin) orelse return null;
        for (0..n) |i| {
            const place = if (next + i < n) next + i else next + i - n;
            if (!std.mem.eql(u8, names[place], text[from..close])) continue;
            found[place] = text[begin..end];
            next = place + 1;
            break;
        }
        at = space(text, end);
        if (byte(text, at) == '}') return found;
        at = after(text, at, ',') orelse return null;
    }
}

inline fn byte(text: []const u8, at: usize) ?u8 {
    return if (at < text.len) text[at] else null;
}

/// What follows the byte that has to be here.
inline fn expect(text: []const u8, at: usize, wanted: u8) ?usize {
    return if (byte(text, at) == wanted) at + 1 else null;
}

/// What follows it and blanks behind it.
inline fn after(text: []const u8, at: usize, wanted: u8) ?usize {
    return space(text, expect(text, at, wanted) orelse return null);
}

inline fn space(text: []const u8, from: usize) usize {
    var at = from;
    while (at < text.len) : (at += 1) switch (text[at]) {
        ' ', '\t', '\n', '\r' => {},
        else => break,
    };
    return at;
}

/// What follows the value that begins here.
inline fn value(text: []const u8, at: usize) ?usize {
    switch (byte(text, at) orelse return null) {
        '"' => return (string(text, at + 1) orelse return null) + 1,
        '{', '[' => return nested(text, at),
        else => {
            const end = find(text, at, word);
            return if (end > at) end else null;
        },
    }
}

/// The closing quote of a string whose content begins here.
inline fn string(text: []const u8, from: usize) ?usize {
    var at = from;
    while (true) : (at += 2) {
        at = find(text, at, quotes);
        if ((byte(text, at) orelse return null) == '"') return at;
    }
}

/// What follows the object or array that begins here.
fn nested(text: []const u8, from: usize) ?usize {
    var at = from;
    var depth: usize = 0;
    while (true) : (at += 1) {
        at = find(text, at, brackets);
        switch (byte(text, at) orelse return null) {
            '"' => at = string(text, at + 1) orelse return null,
            '{', '[' => depth += 1,
            else => {
                depth -= 1;
                if (depth == 0) return at + 1;
            },
        }
    }
}

/// The first byte from here on that is marked, or the end.
inline fn find(text: []const u8, from: usize, comptime mark: fn (Lanes) callconv(.@"inline") Marks) usize {
    var at = from;
    while (at < text.len) : (at += step) {
        const marks = mark(load(text[at..]));
        if (marks != 0) return @min(text.len, at + @ctz(marks));
    }
    return text.len;
}

/// Bytes behind the end are 0.
inline fn load(text: []const u8) Lanes {
    if (text.len >= step) return text[0..step].*;
    var b = [_]u8{0} ** step;
    @memcpy(b[0..text.len], text);
    return b;
}

inline fn is(lanes: Lanes, wanted: u8) Marks {
    return @bitCast(lanes == @as(Lanes, @splat(wanted)));
}

inline fn quotes(lanes: Lanes) Marks {
    return is(lanes, '"') | is(lanes, '\\');
}

inline fn brackets(lanes: Lanes) Marks {
    const folded = lanes | @as(Lanes, @splat(0x20)); // '[' is '{' without this bit, and ']' is '}'
    return is(lanes, '"') | is(folded, '{') | is(folded, '}');
}

inline fn word(lanes: Lanes) Marks {
    return @as(Marks, @bitCast(lanes <= @as(Lanes, @splat(' ')))) | is(lanes, ',') | is(lanes, '}');
}
