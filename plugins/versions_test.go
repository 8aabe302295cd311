package plugins_test

import (
	"path/filepath"
	"regexp"
	"testing"
)

// versions are where an SDK says its version, and what it needs of another.
var versions = []struct{ name, at string }{
	{"sdk/as/package.json", `"version": "(.*?)"`},
	{"sdk/ts/package.json", `"version": "(.*?)"`},
	{"sdk/zig/build.zig.zon", `\.version = "(.*?)"`},
	{"sdk/zig/README.md", `streamproc-plugin-zig-(\d.*?)\.tar`},
	{"sdk/java/pom.xml", `<artifactId>streamproc-plugin</artifactId>\s*<version>(.*?)<`},
	{"sdk/java/README.md", `<artifactId>streamproc-plugin</artifactId>\s*<version>(.*?)<`},
	{"examples/bid-price-java/pom.xml", `<artifactId>streamproc-plugin</artifactId>\s*<version>(.*?)<`},
	{"sdk/c/sp1.h", `sp1\.h (\d\S*):`},
	{"sdk/c/sp1_json.h", `sp1_json\.h (\d\S*):`},
}

// sdkVersion is that of all SDKs, as the crate says it.
func sdkVersion(t *testing.T) string {
	t.Helper()
	return versionIn(t, "sdk/rust/Cargo.toml", `(?m)^version = "(.*?)"`)
}

func versionIn(t *testing.T, name, at string) string {
	t.Helper()
	m := regexp.MustCompile(at).FindSubmatch(file(t, name))
	if m == nil {
		t.Fatalf("%s says no version", name)
	}
	return string(m[1])
}

func TestSDKsHaveOneVersion(t *testing.T) {
	want := sdkVersion(t)
	for _, v := range versions {
		if got := versionIn(t, filepath.FromSlash(v.name), v.at); got != want {
			t.Errorf("%s says version %s, sdk/rust/Cargo.toml %s: set all of them", v.name, got, want)
		}
	}
}
