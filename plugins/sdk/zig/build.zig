const std = @import("std");

pub fn build(b: *std.Build) void {
    _ = b.addModule("sp1", .{ .root_source_file = b.path("sp1.zig") });
    const tests = b.addTest(.{ .root_module = b.createModule(.{ .root_source_file = b.path("sp1.zig"), .target = b.graph.host }) });
    b.step("test", "Run the tests natively").dependOn(&b.addRunArtifact(tests).step);
}

/// A plugin whose root has `comptime { sp1.plugin(…); }` and finds the SDK as `sp1`. From a project's build.zig:
///
///     const sdk = @import("streamproc_plugin");
///     b.installArtifact(sdk.addPlugin(b, b.dependency("streamproc_plugin", .{}), "paid", b.path("paid.zig")));
pub fn addPlugin(b: *std.Build, sdk: *std.Build.Dependency, name: []const u8, root: std.Build.LazyPath) *std.Build.Step.Compile {
    const module = b.createModule(.{
        .root_source_file = root,
        .target = b.resolveTargetQuery(.{
            .cpu_arch = .wasm32,
            .os_tag = .freestanding,
            .cpu_model = .{ .explicit = &std.Target.wasm.cpu.generic },
            .cpu_features_add = std.Target.wasm.featureSet(&.{.simd128}),
        }),
        .optimize = .ReleaseSmall,
        .imports = &.{.{ .name = "sp1", .module = sdk.module("sp1") }},
    });
    const plugin = b.addExecutable(.{ .name = name, .root_module = module });
    plugin.entry = .disabled;
    plugin.rdynamic = true;
    return plugin;
}
