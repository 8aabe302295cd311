const std = @import("std");
const members = @import("sp1_json.zig").members;

test "members are those of the table" {
    var table = std.mem.tokenizeScalar(u8, @embedFile("members.txt"), '\n');
    while (table.next()) |line| {
        if (line[0] == '#') continue;
        const middle = std.mem.indexOf(u8, line, " => ").?;
        for (0..33) |blanks| {
            var buffer = [_]u8{' '} ** 512;
            const text = buffer[0 .. blanks + middle];
            @memcpy(text[blanks..], line[0..middle]);
            std.mem.replaceScalar(u8, text, '~', '\n');
            std.mem.replaceScalar(u8, text, '^', '\t');
            var got: [512]u8 = undefined;
            try std.testing.expectEqualStrings(line[middle + 4 ..], try shown(&got, text));
        }
    }
}

fn shown(to: []u8, text: []const u8) ![]const u8 {
    const found = members(3, text, .{ "a", "price", "a longer name" }) orelse return "!";
    return std.fmt.bufPrint(to, "{s} | {s} | {s}", .{ found[0] orelse "-", found[1] orelse "-", found[2] orelse "-" });
}

test "what is cut off is no object" {
    const text = "{\"a\":\"a text of more than sixteen bytes\",\"b\":[1,{\"c\":\"\\\"]\"}],\"price\":-12.5}";
    for (0..text.len) |n| try std.testing.expectEqual(null, members(1, text[0..n], .{"price"}));
    const found = members(1, text, .{"price"}) orelse unreachable;
    try std.testing.expectEqualStrings("-12.5", found[0].?);
}
