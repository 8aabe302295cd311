package workshop

import (
	"context"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
)

var loadRules = []rule{
	{"structure is within its caps", (*trial).structure,
		"build for size and inline less, or ask for more: limits: { structure: large } with sha256, and for pages limits: { memory: … }", module},
	{"imports are served", (*trial).imports,
		"write keys and values into kv.json beside it, and kv: { store: NAME, prefix: TEXT } at the plugin in the pipeline", module},
}

// module says that a rule is of modules.
func module(t *trial) string {
	if t.module == nil {
		return "a script: its engine is not its author's"
	}
	return ""
}

// nearPercent is how near to a cap a module may come before its author should know.
const nearPercent = 90

func (t *trial) structure(context.Context) (string, error) {
	n := t.module.Nearest
	percent := 100 * n.N / n.Limit
	saw := fmt.Sprintf("%d %% of the nearest: %s of %s %s", percent, humanize.Comma(int64(n.N)), humanize.Comma(int64(n.Limit)), n.What)
	if n.Function >= 0 {
		saw += fmt.Sprintf(", function %d", n.Function)
	}
	if percent >= nearPercent {
		return "", warning(saw)
	}
	return saw, nil
}

// imports lists what the module imports, and what that wants of the pipeline.
func (t *trial) imports(context.Context) (string, error) {
	names, others := []string{}, map[string]int{}
	uses := map[string]bool{}
	for _, i := range t.module.Imports {
		if i.Module != "sp1" {
			others[i.Module]++
			continue
		}
		names = append(names, "sp1."+i.Name)
		uses[i.Name] = true
	}
	for _, m := range sortedKeys(others) {
		names = append(names, fmt.Sprintf("%d of %s", others[m], m))
	}
	if uses["kv_get"] && t.shelf == nil {
		return "", warnf("it looks keys up (sp1.kv_get), and there is no %s beside it: here it finds none", KVName)
	}
	saw := "none"
	if len(names) > 0 {
		saw = strings.Join(names, ", ")
	}
	if uses["metric_add"] {
		saw += "; in the pipeline its counters want metrics: [NAME, …]"
	}
	return saw, nil
}
