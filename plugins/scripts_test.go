package plugins_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/bench/bid"
)

func TestTheScriptGivesTheWantedOutput(t *testing.T) {
	want := string(file(t, "examples/trade/want.jsonl"))
	if got := run(t, "examples/trade/trade.ts", "examples/trade"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheScriptOfFieldsAnswersAsTheModule(t *testing.T) {
	want := string(file(t, "examples/dear-bids/want.jsonl"))
	if got := strings.ReplaceAll(run(t, "examples/dear-bids/dear_bids.ts", "examples/dear-bids"), "dear_bids.ts: ", ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheScriptOfQuery1AnswersAsItsJudgeWants(t *testing.T) {
	var in, want []byte
	for n := range int64(2000) {
		in, want = append(bid.Append(in, n), '\n'), append(bid.AppendEuro(want, n), '\n')
	}
	if got := runWith(t, "examples/bid-price/bid_price.ts", nil, in); got != string(want) {
		t.Error("a bid was turned into other euros")
	}
}

var guideBlock = regexp.MustCompile("(?s)```(?:ts|py|lua)\n(?://|#|--) (\\S+)\n(.*?)```\n\n```\n(.*?)```")

// TestTheGuideToScriptsTellsTheTruth runs the scripts of the guide: behind each stand inputs, with "> " before them, and
// what becomes of each.
func TestTheGuideToScriptsTellsTheTruth(t *testing.T) {
	blocks := guideBlock.FindAllStringSubmatch(string(file(t, "../docs/guides/scripts.md")), -1)
	if len(blocks) < 6 {
		t.Fatalf("the guide has %d scripts with outputs", len(blocks))
	}
	for _, b := range blocks {
		name := filepath.Join(t.TempDir(), b[1])
		if err := os.WriteFile(name, []byte("\n"+b[2]), 0o600); err != nil {
			t.Fatal(err)
		}
		var in, want strings.Builder
		for line := range strings.Lines(b[3]) {
			if input, ok := strings.CutPrefix(line, "> "); ok {
				in.WriteString(input)
			} else {
				want.WriteString(line)
			}
		}
		if got := runWith(t, name, []byte(`{"rate":0.9}`), []byte(in.String())); got != want.String() {
			t.Errorf("%s: got\n%s\nwant\n%s", b[1], got, want.String())
		}
	}
}
