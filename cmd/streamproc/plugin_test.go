package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/workshop"
)

var (
	checkExample = regexp.MustCompile("(?s)```\n\\$ streamproc plugin check (\\S+)\n(.*?)```")
	figure       = regexp.MustCompile(`[0-9][0-9,.]*`)
	blanks       = regexp.MustCompile(` +`)
)

// TestTheGuideShowsWhatCheckPrints compares but for the figures, some of which are of the machine and the moment.
func TestTheGuideShowsWhatCheckPrints(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	example := checkExample.FindSubmatch(guide)
	if example == nil {
		t.Fatal("the guide has no example of plugin check")
	}
	project := string(example[1])
	file := filepath.Join("../..", project, filepath.Base(project)+".wasm")
	p, err := workshop.OpenBeside(t.Context(), file, workshop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	records, err := workshop.ReadFile(workshop.Beside(file, "in.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	checked, err := p.Check(t.Context(), records)
	if err != nil {
		t.Fatal(err)
	}
	checked.File = strings.TrimPrefix(checked.File, "../../")
	var printed bytes.Buffer
	printChecked(&printed, &checked)
	same := func(text string) string { return blanks.ReplaceAllString(figure.ReplaceAllString(text, "N"), " ") }
	if got, want := same(printed.String()), same(string(example[2])); got != want {
		t.Errorf("it prints\n%s\nthe guide has\n%s", printed.String(), example[2])
	}
}
