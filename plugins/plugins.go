// Package plugins holds the SDKs, the examples and what a new plugin starts from; its tests run every example against its
// wanted output.
package plugins

import "embed"

// SDK has the sources of the SDKs, and Templates what a new plugin starts from, each in a folder for its language. NAME
// stands for the plugin's name in templates, in names of files too; the ending .tmpl is taken off.
var (
	//go:embed sdk/c/sp1.h sdk/c/sp1_json.h sdk/zig/sp1.zig sdk/zig/sp1_json.zig sdk/as/sp1.ts sdk/as/sp1_json.ts
	//go:embed sdk/rust/Cargo.toml sdk/rust/README.md sdk/rust/src sdk/go/doc.go sdk/go/field.go sdk/go/host.go
	//go:embed sdk/go/host_native.go sdk/go/export_wasip1.go sdk/tinygo/README.md sdk/java/src/main
	SDK embed.FS
	//go:embed templates
	Templates embed.FS
)
