package config

import (
	"strings"
	"testing"
)

// Each is broken in one of the usual ways; the line and the remedy must be told.
func TestWhatIsNoYAMLIsToldWithLineAndRemedy(t *testing.T) {
	const head = "version: 1\npipelines:\n"
	for text, want := range map[string]string{
		head + "\tp: {}\n":                                 "p.yaml:3:2: this is no YAML: found character that cannot start any token (quote the value; a tab",
		head + "  p: { topics: [in }\n":                    "p.yaml:3:3: this is no YAML: did not find expected ',' or ']' (close the bracket",
		head + "  p: { topics: [in]\n  q: 1\n":             "p.yaml:3:3: this is no YAML: did not find expected ',' or '}' (close the brace",
		head + "  p:\n   a: 1\n  b: 2\n   x: 3\n":          "p.yaml:6:4: this is no YAML: mapping values are not allowed in this context",
		head + "  p: 'abc\n":                               "(a quote is open)",
		head + "  p: \"\\d\"\n":                            "(in double quotes write \\\\ for a backslash",
		head + "  p: a: b\n":                               "p.yaml:3:3: this is no YAML: mapping values are not allowed in this context (a value with \": \" in it wants quotes",
		head + "  p: *x\n":                                 "p.yaml:3:3: this is no YAML: an alias names no anchor (a value that begins with * wants quotes)",
		head + "  p: @x\n":                                 "p.yaml:3:3: this is no YAML: found character that cannot start any token",
		head + "  - a\n  b: 1\n":                           "p.yaml:3:3: this is no YAML: did not find expected '-' indicator (an item of the list wants",
		"version: 1\npipelines\n":                          "p.yaml:2:1: this is no YAML: could not find expected ':' (write NAME: VALUE",
		"version: 1\n---\nversion: 1\n":                    "p.yaml:3:1: a second document begins here",
		"version: 1\n...\n":                                "p.yaml:1:1: there is no pipeline (add pipelines:",
		"version 1\n":                                      `p.yaml:1:1: want a mapping of names to values, not "version 1"`,
		"- a\n":                                            "p.yaml:1:1: want a mapping of names to values, not a list",
		"":                                                 "p.yaml:1:1: the file is empty (begin with version: 1)",
		"# nothing\n":                                      "p.yaml:1:1: the file is empty",
		"version: 1\nx: \xff\n":                            "p.yaml:2:4: this is no UTF-8",
		"version: 1\nx: a\x00\n":                           "p.yaml:2:5: there is a control character, U+0000",
		"version: 1\npipelines: { [a]: {} }\n":             "p.yaml:2:14: pipelines: a name is wanted before the colon, not a list",
		"version: 1\npipelines: null\n":                    "p.yaml:2:12: pipelines: want a mapping of names to values, not nothing",
		"version: 1\npipelines: { p: {}, p: {} }\n":        "p.yaml:2:21: pipelines.p: the key is there twice, first in line 2",
		"version: 1\nresources: { redis: { r: *secret } }": "an alias names no anchor",
	} {
		_, err := load(t, text, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngives %v\nwant %s", text, err, want)
		}
	}
}

func TestALongLineIsCutAroundWhatIsWrong(t *testing.T) {
	long := "version: 1\npipelines: { p: { description: '" + strings.Repeat("é", 500) + "', wrokers: 1, x: '" + strings.Repeat("y", 500) + "' } }\n"
	_, err := load(t, long, nil)
	if err == nil {
		t.Fatal("it loads")
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		if strings.Contains(line, "wrokers: 1") {
			_, after, _ := strings.Cut(err.Error(), line)
			if n := len([]rune(line)); n > 2*shownColumns+20 {
				t.Errorf("%d columns", n)
			}
			caret := strings.Split(after, "\n")[1]
			at := len([]rune(caret[:strings.IndexByte(caret, '^')]))
			if got := string([]rune(line)[at : at+7]); got != "wrokers" {
				t.Errorf("the caret is below %s", got)
			}
			return
		}
	}
	t.Errorf("the key is not shown:\n%v", err)
}
