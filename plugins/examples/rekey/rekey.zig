//! rekey: makes a field of the value, a JSON object, the key of the record, so that what belongs together meets in one
//! partition. The field is named in the configuration, { field: user }; it has to be a string or a number.
const std = @import("std");
const sp1 = @import("sp1");

var field: []const u8 = "";

fn configure(start: []const u8) ?[]const u8 {
    const Start = struct { config: struct { field: []const u8 = "" } };
    const parsed = std.json.parseFromSliceLeaky(Start, sp1.allocator, start, .{ .ignore_unknown_fields = true }) catch
        return "config: { field: NAME } cannot be read";
    field = parsed.config.field;
    return if (field.len == 0) "config: { field: NAME } is missing" else null;
}

fn each(r: *const sp1.Record, out: *sp1.Outputs) sp1.Verdict {
    const value = r.value orelse return .keep;
    var arena = std.heap.ArenaAllocator.init(sp1.allocator);
    defer arena.deinit();
    const object = std.json.parseFromSliceLeaky(std.json.Value, arena.allocator(), value, .{ .parse_numbers = false }) catch
        return .{ .fail = "the value is not JSON" };
    if (object != .object) return .{ .fail = "the value is not a JSON object" };
    const key = switch (object.object.get(field) orelse return .{ .fail = "the field is missing" }) {
        .string, .number_string => |text| text,
        else => return .{ .fail = "the field is neither a string nor a number" },
    };
    out.put(.{ .key = key }) catch return .{ .fail = "out of memory" };
    return .replaced;
}

comptime {
    sp1.plugin(each, configure);
}
