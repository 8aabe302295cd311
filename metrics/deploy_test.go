package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// expressions are all the queries of the files that we ship for Prometheus and Grafana.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	text, err := os.ReadFile("../deploy/prometheus/alerts.yaml")
	if err == nil {
		d := yaml.NewDecoder(strings.NewReader(string(text)))
		err = d.Decode(&rules)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Expr == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("alert %q lacks an expression, a severity or a summary", r.Alert)
			}
			all["alert "+r.Alert] = r.Expr
		}
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct {
				Name  string
				Query any
			}
		}
		Annotations struct{ List []struct{ Name, Expr string } }
	}
	if text, err = os.ReadFile("../deploy/grafana/streamproc.json"); err == nil {
		err = json.Unmarshal(text, &board)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for i, target := range p.Targets {
			all["panel "+p.Title+string(rune('A'+i))] = target.Expr
		}
	}
	for _, a := range board.Annotations.List {
		all["annotation "+a.Name] = a.Expr
	}
	for _, v := range board.Templating.List {
		if query, ok := v.Query.(string); ok {
			all["variable "+v.Name] = query
		}
	}
	return all
}

var (
	nameIn   = regexp.MustCompile(prefix + `\w+`)
	matchIn  = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"([^"]*)"`)
	byIn     = regexp.MustCompile(`by \(([^)]*)\)`)
	suffixes = []string{"_bucket", "_sum", "_count"}
)

// familyOf finds what a name in a query is of.
func familyOf(name string) (family, bool) {
	for _, s := range sections {
		for _, f := range s.families {
			base := name
			if f.kind == histogram {
				for _, suffix := range suffixes {
					base = strings.TrimSuffix(base, suffix)
				}
				if base == name {
					continue // a histogram has no series of its bare name
				}
			}
			if base == prefix+f.name {
				return f, true
			}
		}
	}
	return family{}, false
}

func TestAlertsAndDashboardAskForWhatThereIs(t *testing.T) {
	all := expressions(t)
	if len(all) < 30 {
		t.Errorf("only %d queries are found: the files are read wrongly", len(all))
	}
	for where, expr := range all {
		labels := []string{"le", "instance"}
		for _, name := range nameIn.FindAllString(expr, -1) {
			f, ok := familyOf(name)
			if !ok {
				t.Errorf("%s asks for %s, which is no metric of ours", where, name)
			}
			labels = append(labels, f.labels...)
		}
		var used []string
		for _, m := range matchIn.FindAllStringSubmatch(expr, -1) {
			used = append(used, m[1])
		}
		for _, m := range byIn.FindAllStringSubmatch(expr, -1) {
			used = append(used, strings.Split(m[1], ", ")...)
		}
		for _, l := range used {
			if !slices.Contains(labels, l) {
				t.Errorf("%s uses the label %s, which its metrics do not have", where, l)
			}
		}
		if strings.Count(expr, "(") != strings.Count(expr, ")") || strings.Count(expr, "{") != strings.Count(expr, "}") {
			t.Errorf("%s does not close its brackets: %s", where, expr)
		}
	}
}

func TestAlertsAskForWordsThatLabelsHave(t *testing.T) {
	words := map[string][]string{"state": States, "verdict": append([]string{"out"}, verdicts...), "result": append(slices.Clone(results), claims...), "action": gaps, "reason": nil}
	for where, expr := range expressions(t) {
		for _, m := range matchIn.FindAllStringSubmatch(expr, -1) {
			if known, ok := words[m[1]]; ok && !slices.Contains(known, m[2]) {
				t.Errorf("%s asks for %s=%q, which is none of %v", where, m[1], m[2], known)
			}
		}
	}
}
