//! lookups: the value of a key that is the record's, or "absent".
const sp1 = @import("sp1");

fn each(r: *const sp1.Record, out: *sp1.Outputs) sp1.Verdict {
    const found = sp1.kvGet(sp1.allocator, r.value.?) catch return .{ .fail = "out of memory" };
    defer if (found) |value| sp1.allocator.free(value);
    out.put(.{ .value = found orelse "absent", .timestamp = sp1.nowMs() }) catch return .{ .fail = "out of memory" };
    sp1.metricAdd(0, 1);
    return .replaced;
}

comptime {
    sp1.plugin(each, null);
}
