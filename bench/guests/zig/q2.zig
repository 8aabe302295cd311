//! NEXMark query 2: of the bids for one auction in 123, the auction and the price.
const std = @import("std");
const sp1 = @import("sp1");

fn each(r: *const sp1.Record, out: *sp1.Outputs) sp1.Verdict {
    const auction, const price = sp1.members(2, r.value orelse return .keep, .{ "auction", "price" }) orelse return .{ .fail = "no bid" };
    const n = std.fmt.parseInt(u64, auction orelse "", 10) catch return .{ .fail = "no auction" };
    if (n % 123 != 0) return .drop;
    var made: [128]u8 = undefined;
    const value = std.fmt.bufPrint(&made, "{{\"auction\":{d},\"price\":{s}}}", .{ n, price orelse return .{ .fail = "no price" } }) catch
        return .{ .fail = "the price is too long" };
    out.put(.{ .value = value }) catch return .{ .fail = "out of memory" };
    return .replaced;
}

comptime {
    sp1.plugin(each, null);
}
