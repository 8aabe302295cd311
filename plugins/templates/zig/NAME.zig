//! NAME: keeps paid orders, and marks them as seen.
const std = @import("std");
const sp1 = @import("sp1.zig");
pub const panic = sp1.panic;

fn each(r: *const sp1.Record, out: *sp1.Outputs) sp1.Verdict {
    const value = r.value orelse return .keep; // a tombstone
    if (value.len == 0 or value[0] != '{') return .{ .fail = "the value is not a JSON object" };
    if (std.mem.indexOf(u8, value, "\"paid\":true") == null) return .drop;
    const made = std.mem.concat(sp1.allocator, u8, &.{ "{\"seen\":true,", value[1..] }) catch return .{ .fail = "out of memory" };
    defer sp1.allocator.free(made);
    out.put(.{ .value = made }) catch return .{ .fail = "out of memory" };
    return .replaced;
}

comptime {
    sp1.plugin(each, null);
}
