//! members: what the SDK's reader of JSON members makes of a value, as sdk/members.txt writes it.
const std = @import("std");
const sp1 = @import("sp1");

fn each(r: *const sp1.Record, out: *sp1.Outputs) sp1.Verdict {
    const found = sp1.members(3, r.value.?, .{ "a", "price", "a longer name" }) orelse return put(out, "!");
    const made = std.mem.join(sp1.allocator, " | ", &.{ found[0] orelse "-", found[1] orelse "-", found[2] orelse "-" }) catch
        return .{ .fail = "out of memory" };
    defer sp1.allocator.free(made);
    return put(out, made);
}

fn put(out: *sp1.Outputs, value: []const u8) sp1.Verdict {
    out.put(.{ .value = value }) catch return .{ .fail = "out of memory" };
    return .replaced;
}

comptime {
    sp1.plugin(each, null);
}
