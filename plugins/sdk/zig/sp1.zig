//! ABI sp1 for streamproc plugins in Zig. A plugin has a function
//!
//!     fn each(r: *const sp1.Record, out: *sp1.Outputs) sp1.Verdict
//!
//! and says `comptime { sp1.plugin(each, null); }`, or names in the place of null a `fn ([]const u8) ?[]const u8` that
//! reads the start message, JSON, and returns why it refuses it, or null.
const std = @import("std");
const builtin = @import("builtin");

pub const members = @import("sp1_json.zig").members;

const header_size = 32;
const record_size = 48;
const entry_size = 16;
const inherit: u32 = 0x8000_0000;
const none: u32 = 0xFFFF_FFFF;

/// Everything is taken from here and kept.
pub const allocator = if (builtin.target.cpu.arch.isWasm()) std.heap.wasm_allocator else std.heap.page_allocator;

/// What becomes of a record.
pub const Verdict = union(enum) {
    keep,
    drop,
    /// It goes to the dead letters, with this text.
    fail: []const u8,
    /// Its outputs go on in its place; none is filtered.
    replaced,
};

/// One input record. Null is null; timestamps are milliseconds since the Unix epoch. The defaults are for tests.
pub const Record = struct {
    key: ?[]const u8 = null,
    value: ?[]const u8 = null,
    timestamp: i64 = 0,
    offset: i64 = 0,
    partition: u32 = 0,
    topic: u16 = 0,
    batch: []const u8 = "",
    headers: u32 = 0,
    header_count: u32 = 0,

    /// The value of the last header of that name: null if there is none, or if it is null.
    pub fn header(r: *const Record, name: []const u8) ?[]const u8 {
        var found: ?[]const u8 = null;
        for (0..r.header_count) |i| {
            const e = r.batch[r.headers + i * entry_size ..][0..entry_size];
            if (std.mem.eql(u8, column(r.batch, e, 0) orelse "", name)) found = column(r.batch, e, 8);
        }
        return found;
    }
};

/// One output. What is null is as in the record.
pub const Output = struct {
    key: ?[]const u8 = null,
    value: ?[]const u8 = null,
    timestamp: ?i64 = null,
    to: u16 = 0,
};

/// The outputs of a batch. Those of a record count only if its verdict is replaced.
pub const Outputs = struct {
    descriptors: std.ArrayList(u8) = .empty,
    data: std.ArrayList(u8) = .empty,
    count: u32 = 0,
    source: u32 = 0,

    pub fn put(o: *Outputs, out: Output) error{OutOfMemory}!void {
        var d = [_]u8{0} ** record_size;
        try o.field(d[0..8], out.key);
        try o.field(d[8..16], out.value);
        write(u32, d[16..20], inherit);
        write(i64, d[24..32], out.timestamp orelse std.math.minInt(i64));
        write(u32, d[40..44], o.source);
        write(u16, d[44..46], out.to);
        try o.descriptors.appendSlice(allocator, &d);
        o.count += 1;
    }

    fn field(o: *Outputs, d: []u8, bytes: ?[]const u8) !void {
        write(u32, d[0..4], inherit);
        const b = bytes orelse return;
        write(u32, d[0..4], @intCast(o.data.items.len));
        write(u32, d[4..8], @intCast(b.len));
        try o.data.appendSlice(allocator, b);
    }

    fn back(o: *Outputs, descriptors: usize, data: usize, count: u32) void {
        o.descriptors.shrinkRetainingCapacity(descriptors);
        o.data.shrinkRetainingCapacity(data);
        o.count = count;
    }

    fn finish(o: *Outputs, to: *std.ArrayList(u8)) !void {
        const base: u32 = @intCast(header_size + o.descriptors.items.len);
        var at: usize = 0;
        while (at < o.descriptors.items.len) : (at += record_size) {
            const d = o.descriptors.items[at..][0..record_size];
            inline for (.{ 0, 8 }) |f| {
                const off = read(u32, d[f..][0..4]);
                if (off != inherit) write(u32, d[f..][0..4], off + base);
            }
        }
        var h = [_]u8{0} ** header_size;
        @memcpy(h[0..4], "SPB1");
        write(u16, h[4..6], 1);
        write(u16, h[6..8], record_size);
        write(u32, h[8..12], o.count);
        write(u32, h[12..16], base + @as(u32, @intCast(o.data.items.len)));
        to.clearRetainingCapacity();
        try to.appendSlice(allocator, &h);
        try to.appendSlice(allocator, o.descriptors.items);
        try to.appendSlice(allocator, o.data.items);
    }
};

fn read(comptime T: type, b: *const [@sizeOf(T)]u8) T {
    return std.mem.readInt(T, b, .little);
}

fn write(comptime T: type, b: *[@sizeOf(T)]u8, v: T) void {
    std.mem.writeInt(T, b, v, .little);
}

fn column(batch: []const u8, d: []const u8, comptime at: usize) ?[]const u8 {
    const len = read(u32, d[at + 4 ..][0..4]);
    return if (len == none) null else batch[read(u32, d[at..][0..4])..][0..len];
}

const host = if (builtin.target.cpu.arch.isWasm()) struct {
    extern "sp1" fn @"error"(index: i32, ptr: [*]const u8, len: u32) void;
    extern "sp1" fn log(level: i32, ptr: [*]const u8, len: u32) void;
    extern "sp1" fn now_ms() i64;
    extern "sp1" fn metric_add(id: i32, delta: i64) void;
    extern "sp1" fn kv_get(key: [*]const u8, n: u32, to: [*]u8, room: u32) i32;
} else struct {
    fn @"error"(_: i32, _: [*]const u8, _: u32) void {}
    fn log(_: i32, _: [*]const u8, _: u32) void {}
    fn now_ms() i64 {
        return 0;
    }
    fn metric_add(_: i32, _: i64) void {}
    fn kv_get(_: [*]const u8, _: u32, _: [*]u8, _: u32) i32 {
        return absent;
    }
};

/// Why the plugin panics goes to the dead letters with its record, if the root file says `pub const panic = sp1.panic;`.
pub const panic = std.debug.FullPanic(struct {
    fn tell(why: []const u8, _: ?usize) noreturn {
        host.@"error"(-1, why.ptr, @intCast(why.len));
        @trap();
    }
}.tell);

/// How grave a line of the log is.
pub const Level = enum(i32) { debug, info, warn, err };

/// Writes a line to the log of the pipeline, where it is escaped and cut. Native builds write nothing.
pub fn log(level: Level, text: []const u8) void {
    host.log(@intFromEnum(level), text.ptr, @intCast(text.len));
}

/// The time of the batch in milliseconds since the Unix epoch: its greatest timestamp, so that a replay sees the same.
/// 0 in native builds.
pub fn nowMs() i64 {
    return host.now_ms();
}

/// Adds to a counter: that of place `id` in `metrics` of the start message, from 0. What is below 0 is left out, and so is
/// a counter that there is not. Native builds count nothing.
pub fn metricAdd(id: u31, delta: i64) void {
    host.metric_add(id, delta);
}

/// The value of a key in the store that the configuration gives the plugin (`kv`), which the caller frees; null if there is
/// none. Within a batch a key has one value. A store that does not answer is no matter of the plugin: the batch comes again.
/// It is for the function that is called for records, and panics elsewhere; native builds find nothing.
pub fn kvGet(gpa: std.mem.Allocator, key: []const u8) error{OutOfMemory}!?[]u8 {
    var value = try gpa.alloc(u8, first_value);
    errdefer gpa.free(value);
    var n = host.kv_get(key.ptr, @intCast(key.len), value.ptr, @intCast(value.len));
    if (n > value.len) {
        value = try gpa.realloc(value, @intCast(n));
        n = host.kv_get(key.ptr, @intCast(key.len), value.ptr, @intCast(value.len));
    }
    if (n == refused) @panic("kvGet outside of a call for records");
    if (n != absent) return try gpa.realloc(value, @intCast(n));
    gpa.free(value);
    return null;
}

/// How large most values are at most; a larger one takes a second call.
const first_value = 1 << 10;
const absent = -1;
const refused = -2;

pub const Each = fn (*const Record, *Outputs) Verdict;
pub const Configure = fn ([]const u8) ?[]const u8;

/// Answers a batch in place, with the outputs in answer.
pub fn process(batch: []u8, outputs: *Outputs, answer: *std.ArrayList(u8), each: Each) error{OutOfMemory}!void {
    const stride = read(u16, batch[6..8]);
    const count = read(u32, batch[8..12]);
    outputs.back(0, 0, 0);
    for (0..count) |i| {
        write(u32, batch[24..28], @intCast(i));
        const d = batch[header_size + i * stride ..][0..record_size];
        const r = Record{
            .key = column(batch, d, 0),
            .value = column(batch, d, 8),
            .timestamp = read(i64, d[24..32]),
            .offset = read(i64, d[32..40]),
            .partition = read(u32, d[40..44]),
            .topic = read(u16, d[44..46]),
            .batch = batch,
            .headers = read(u32, d[16..20]),
            .header_count = read(u32, d[20..24]),
        };
        outputs.source = @intCast(i);
        const before = .{ outputs.descriptors.items.len, outputs.data.items.len, outputs.count };
        const verdict = each(&r, outputs);
        if (verdict != .replaced) outputs.back(before[0], before[1], before[2]);
        d[46] = @intFromEnum(verdict);
        switch (verdict) {
            .fail => |why| host.@"error"(@intCast(i), why.ptr, @intCast(why.len)),
            else => {},
        }
    }
    if (outputs.count > 0) try outputs.finish(answer);
}

/// Exports a plugin.
pub fn plugin(comptime each: Each, comptime configure: ?Configure) void {
    const border = struct {
        var arena: []u8 = &.{};
        var outputs: Outputs = .{};
        var answer: std.ArrayList(u8) = .empty;

        fn marker() callconv(.c) void {}

        fn alloc(n: u32) callconv(.c) ?[*]u8 {
            if (n > arena.len) arena = allocator.realloc(arena, n) catch return null;
            return arena.ptr;
        }

        fn start(_: u32, n: u32) callconv(.c) i32 {
            const text = allocator.dupe(u8, arena[0..n]) catch return 1;
            const why = configure.?(text) orelse return 0;
            host.@"error"(-1, why.ptr, @intCast(why.len));
            return 1;
        }

        fn call(_: u32, n: u32) callconv(.c) i64 {
            process(arena[0..n], &outputs, &answer, each) catch return -1;
            if (outputs.count == 0) return 0;
            return @bitCast(@as(u64, @intFromPtr(answer.items.ptr)) << 32 | answer.items.len);
        }
    };
    @export(&border.marker, .{ .name = "sp_abi_v1" });
    @export(&border.alloc, .{ .name = "sp_alloc" });
    @export(&border.call, .{ .name = "sp_process" });
    if (configure != null) @export(&border.start, .{ .name = "sp_init" });
}

fn testEach(r: *const Record, out: *Outputs) Verdict {
    const value = r.value orelse return .keep;
    if (std.mem.eql(u8, value, "drop")) return .drop;
    out.put(.{ .key = r.header("trace"), .value = "made", .timestamp = 9 }) catch unreachable;
    return if (std.mem.eql(u8, value, "fail")) .{ .fail = "no" } else .replaced;
}

test "every record gets its verdict, and one that fails puts nothing" {
    var out: Outputs = .{};
    var batch: std.ArrayList(u8) = .empty;
    var answer: std.ArrayList(u8) = .empty;
    for ([_][]const u8{ "drop", "fail", "two" }, 0..) |v, i| {
        out.source = @intCast(i);
        try out.put(.{ .key = "k", .value = v });
    }
    try out.finish(&batch);
    for (0..3) |i| write(u32, batch.items[header_size + i * record_size + 16 ..][0..4], 0);
    try process(batch.items, &out, &answer, testEach);
    const verdicts = [_]u8{ batch.items[header_size + 46], batch.items[header_size + record_size + 46], batch.items[header_size + 2 * record_size + 46] };
    try std.testing.expectEqualSlices(u8, &.{ 1, 2, 3 }, &verdicts);
    try std.testing.expectEqual(@as(u32, 1), read(u32, answer.items[8..12]));
    const d = answer.items[header_size..][0..record_size];
    try std.testing.expectEqualStrings("made", column(answer.items, d, 8).?);
    try std.testing.expectEqual(inherit, read(u32, d[0..4]));
    try std.testing.expectEqual(@as(u32, 2), read(u32, d[40..44]));
    try std.testing.expectEqual(@as(i64, 9), read(i64, d[24..32]));
}
