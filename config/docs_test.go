package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

var wholeConfiguration = regexp.MustCompile(`(?m)^version:`)

// documented are the whole configurations that the documents show.
func documented(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]string{}
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			if wholeConfiguration.MatchString(m[1]) { // else it is a fragment
				examples[fmt.Sprintf("%s, block %d", file, i+1)] = m[1]
			}
		}
	}
	if len(examples) == 0 {
		t.Fatal("no example was found")
	}
	return examples
}

func TestExamplesInTheDocumentsLoad(t *testing.T) {
	for name, example := range documented(t) {
		if _, err := load(t, example, nil); err != nil {
			t.Errorf("%s:\n%v", name, err)
		}
	}
}
