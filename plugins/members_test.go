package plugins_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/workshop"
)

// membersOf is what a guest of testdata/members, one of an SDK, makes of texts.
func membersOf(t *testing.T, module string, texts []string) []string {
	t.Helper()
	p, err := workshop.Open(t.Context(), module, workshop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	records := make([]workshop.Record, len(texts))
	for i, text := range texts {
		records[i].Value = []byte(text)
	}
	lines, err := p.Run(t.Context(), records)
	if err != nil || len(lines) != len(texts) {
		t.Fatalf("%d answers to %d texts, %v", len(lines), len(texts), err)
	}
	answers := make([]string, len(lines))
	for i, l := range lines {
		if err := json.Unmarshal(l.Value, &answers[i]); err != nil { // no JSON itself, so it is shown as a text
			t.Fatalf("%q gives %v: %v", texts[i], l, err)
		}
	}
	return answers
}

type wantedMembers struct{ text, want string }

// membersTable reads sdk/members.txt.
func membersTable(t *testing.T) (table []wantedMembers) {
	t.Helper()
	plain := strings.NewReplacer("~", "\n", "^", "\t")
	for line := range strings.Lines(string(file(t, "sdk/members.txt"))) {
		if text, want, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " => "); ok && line[0] != '#' {
			table = append(table, wantedMembers{plain.Replace(text), plain.Replace(want)})
		}
	}
	if len(table) < 50 {
		t.Fatalf("the table has %d lines", len(table))
	}
	return table
}

// TestSDKsFindTheMembersOfTheTable puts each text of the table at every place of a vector.
func TestSDKsFindTheMembersOfTheTable(t *testing.T) {
	wantMembers(t, memberModules(t, "testdata/members"))
}

func wantMembers(t *testing.T, modules []string) {
	t.Helper()
	var texts, wants []string
	for _, c := range membersTable(t) {
		for blanks := range 33 {
			texts, wants = append(texts, strings.Repeat(" ", blanks)+c.text), append(wants, c.want)
		}
	}
	for _, module := range modules {
		for i, got := range membersOf(t, module, texts) {
			if got != wants[i] {
				t.Errorf("%s: %q\ngives %q\nwant  %q", module, texts[i], got, wants[i])
			}
		}
	}
}

// TestSDKsAgreeOnWhatIsNoJSON hands all of them what is left of the texts of the table when bytes are changed, taken away and cut off.
func TestSDKsAgreeOnWhatIsNoJSON(t *testing.T) {
	sameMembers(t, memberModules(t, "testdata/members"), spoiled(membersTable(t)))
}

func sameMembers(t *testing.T, modules, texts []string) {
	t.Helper()
	want := membersOf(t, modules[0], texts)
	for _, module := range modules[1:] {
		for i, got := range membersOf(t, module, texts) {
			if got != want[i] {
				t.Errorf("%q\n%s gives %q\n%s gives %q", texts[i], modules[0], want[i], module, got)
			}
		}
	}
}

func memberModules(t *testing.T, dir string) []string {
	t.Helper()
	modules, err := filepath.Glob(filepath.Join(dir, "members_*.wasm"))
	if err != nil || len(modules) < 4 {
		t.Fatalf("%s has %d modules of the SDKs, %v", dir, len(modules), err)
	}
	return modules
}

const spoiledTexts = 5_000

func spoiled(table []wantedMembers) []string {
	const odd = "\"\\{}[],: \n\t\x00\x1f\x7f\xff;|<a1"
	r := rand.New(rand.NewPCG(1, 2))
	texts := make([]string, spoiledTexts)
	for i := range texts {
		text := []byte(table[r.IntN(len(table))].text + table[r.IntN(len(table))].text)
		for range r.IntN(4) {
			if n := len(text); n > 0 {
				at := r.IntN(n)
				switch r.IntN(3) {
				case 0:
					text[at] = odd[r.IntN(len(odd))]
				case 1:
					text = append(text[:at], text[at+1:]...)
				default:
					text = text[:at]
				}
			}
		}
		texts[i] = string(text)
	}
	return texts
}
