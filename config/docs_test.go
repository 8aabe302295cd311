package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// What the documents show must load as it stands.
func TestExamplesInTheDocumentsLoad(t *testing.T) {
	files, err := filepath.Glob("../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			if !strings.HasPrefix(m[1], "version:") {
				continue // a fragment
			}
			n++
			if _, err := load(t, m[1], nil); err != nil {
				t.Errorf("%s:\n%v", file, err)
			}
		}
	}
	if n == 0 {
		t.Error("no example was found")
	}
}
