package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "write the files that are made from the tables of settings")

func TestTheReferenceAndTheSchemaAreThoseOfTheCode(t *testing.T) {
	for file, want := range map[string][]byte{
		"../docs/reference/configuration.md": Reference(),
		"../streamproc.schema.json":          JSONSchema(),
	} {
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(got), string(want)); diff != "" {
			t.Errorf("%s is not what the code says; go test ./config -update writes it:\n%s", file, diff)
		}
	}
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("streamproc.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("streamproc.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is what an editor gives to a validator.
func instance(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// Whatever the loader takes, an editor must not underline.
func TestTheSchemaTakesWhatTheLoaderTakes(t *testing.T) {
	s := schema(t)
	text, err := os.ReadFile("../pipelines.yaml")
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]string{"pipelines.yaml": string(text), "complete": complete}
	for file, example := range documented(t) {
		examples[file] = example
	}
	for name, text := range examples {
		if err := s.Validate(instance(t, text)); err != nil {
			t.Errorf("%s:\n%v", name, err)
		}
	}
}

func TestTheSchemaUnderlinesWhatTheLoaderRefuses(t *testing.T) {
	s := schema(t)
	for _, c := range mistakes {
		if c.beyondSchema {
			continue
		}
		if err := s.Validate(instance(t, strings.Replace(complete, c.old, c.new, 1))); err == nil {
			t.Errorf("%s passes", c.new)
		}
	}
}

var sentence = regexp.MustCompile(`^[A-Z].*\.$`)

func TestEverySettingIsExplained(t *testing.T) {
	all := Settings()
	if len(all) < 80 {
		t.Fatalf("%d settings", len(all))
	}
	for _, s := range all {
		if !sentence.MatchString(s.About) || s.Kind == "" {
			t.Errorf("%s is explained by %q (%s): write a sentence", s.Path, s.About, s.Kind)
		}
	}
}

func TestASettingIsFoundByItsPathOrItsEnd(t *testing.T) {
	const window = "pipelines.NAME.steps[].dedup.window"
	for _, path := range []string{"steps.dedup.window", "dedup.window", window, "pipelines.payments.steps[3].dedup.window"} {
		found, err := Explain(path)
		if err != nil || len(found) != 1 || found[0].Path != window || found[0].Default != "24h" || !strings.Contains(found[0].Kind, "1s to 366d") {
			t.Errorf("%s: %v, %v", path, found, err)
		}
	}
	if found, err := Explain("topic"); err != nil || len(found) != 2 {
		t.Errorf("topic: %v, %v", found, err)
	}
	if _, err := Explain("steps.dedup.widnow"); err == nil || !strings.Contains(err.Error(), `did you mean "window"?`) {
		t.Errorf("got %v", err)
	}
}
