package workshop

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/plugins"
)

func TestAProjectHasTheSDKAsItIs(t *testing.T) {
	for _, l := range languages {
		p, err := New(t.TempDir(), "paid", l.name)
		if err != nil {
			t.Fatal(err)
		}
		for from, to := range l.sdk {
			err := fs.WalkDir(plugins.SDK, from, func(file string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				want, _ := plugins.SDK.ReadFile(file) // a missing one differs
				got, _ := os.ReadFile(filepath.Join(p.Dir, to, strings.TrimPrefix(file, from)))
				if back := strings.ReplaceAll(string(got), "paid/sp1/abi", "github.com/streamproc/streamproc/runtime/abi"); back != string(want) {
					t.Errorf("%s: %s is not what the project has", l.name, file)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
