package workshop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/meter"
)

// Result is what came of a rule.
type Result string

// The results.
const (
	Pass Result = "pass"
	Warn Result = "warn" // no contract is broken, and its author should know
	Fail Result = "fail"
	Skip Result = "skip" // it is not for such a plugin
)

// Rule is one thing that a plugin has to keep to, and what came of it.
type Rule struct {
	Group  string `json:"group"`
	Name   string `json:"rule"`
	Result Result `json:"result"`
	Saw    string `json:"saw,omitempty"`    // a figure, what is wrong, or why it was skipped
	Remedy string `json:"remedy,omitempty"` // of one that fails or warns
}

// Checked is a plugin that was put through the rules, and what its records cost.
type Checked struct {
	File   string    `json:"file"`
	SHA256 string    `json:"sha256"`
	ABI    string    `json:"abi"`
	Rules  []Rule    `json:"rules"`
	Costs  []Measure `json:"costs,omitempty"` // none if it does not start
}

// Count is how many rules have a result.
func (c *Checked) Count(what Result) (n int) {
	for i := range c.Rules {
		if c.Rules[i].Result == what {
			n++
		}
	}
	return n
}

// rule is a line of the tables of rules. An error of try is what is wrong: one of the kind warning does not fail the plugin, and
// of the kind skipping says why there is nothing to try.
type rule struct {
	name   string
	try    func(*trial, context.Context) (saw string, err error)
	remedy string
	needs  func(*trial) (lack string) // why it is not for this plugin, or ""; nil: it is for all
}

type (
	warning  string
	skipping string
)

func (w warning) Error() string  { return string(w) }
func (s skipping) Error() string { return string(s) }

func warnf(format string, args ...any) error { return warning(fmt.Sprintf(format, args...)) }

// groups are the rules in the order in which they are tried and told.
var groups = []struct {
	name  string
	rules []rule
}{{"load", loadRules}, {"start", startRules}, {"contract", contractRules}, {"behaviour", behaviourRules}}

// trial is a plugin on its way through the rules.
type trial struct {
	*Plugin
	module  *meter.Module // nil: it is a script
	records []Record
	failed  bool // it does not start
}

// most is more than the limits that a plugin is not to meet while it is tried: nobody reads what it logs, and nobody waits for a
// plugin that is held to be broken.
const most = 1 << 20

// Check puts a plugin through the rules, with the records given and with awkward ones. A rule that fails does not keep the
// others from being tried. What the plugin logs is not shown. The error is trouble of the check itself.
func (p *Plugin) Check(ctx context.Context, records []Record) (c Checked, err error) {
	c = Checked{File: p.File, SHA256: p.Digest, ABI: p.ABI}
	if len(records) == 0 {
		return c, errors.New("there are no records to try the plugin with")
	}
	quiet, err := p.other(ctx, func(s *runtime.Source) {
		s.Logger, s.Limits.LogLines, s.Limits.Traps = slog.New(slog.DiscardHandler), most, most
	})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, quiet.plugin.Close(ctx)) }()
	t := &trial{Plugin: quiet, records: records}
	if !p.IsScript() {
		if t.module, err = meter.Read(p.Module, p.plugin.Caps()); err != nil {
			return c, fmt.Errorf("reading %s: %w", p.File, err)
		}
	}
	for _, g := range groups {
		for i := range g.rules {
			r := g.rules[i].on(ctx, t)
			if ctx.Err() != nil {
				return c, ctx.Err()
			}
			r.Group = g.name
			c.Rules = append(c.Rules, r)
		}
	}
	return c, t.cost(ctx, &c)
}

// on tries the rule.
func (r *rule) on(ctx context.Context, t *trial) Rule {
	done := Rule{Name: r.name, Result: Skip}
	if t.failed {
		done.Saw = "it does not start"
		return done
	}
	if r.needs != nil {
		if done.Saw = r.needs(t); done.Saw != "" {
			return done
		}
	}
	saw, err := r.try(t, ctx)
	if err == nil {
		done.Result, done.Saw = Pass, saw
		return done
	}
	done.Saw, _, _ = strings.Cut(err.Error(), "\n") // behind it come the calls that led to a trap
	switch {
	case errors.As(err, new(skipping)):
		return done
	case errors.As(err, new(warning)):
		done.Result = Warn
	default:
		done.Result = Fail
	}
	done.Remedy = r.remedy
	return done
}

const costTime = 50 * time.Millisecond // for each size of batch

// cost measures what a record costs, unless there is a batch that comes to no end.
func (t *trial) cost(ctx context.Context, c *Checked) error {
	for _, n := range []int{1, 100} {
		m, err := t.Measure(ctx, t.records, n, costTime)
		if err != nil {
			return ctx.Err()
		}
		c.Costs = append(c.Costs, m)
	}
	return nil
}

// used runs f on a fresh instance.
func (t *trial) used(ctx context.Context, e runtime.Events, f func(*runtime.Guest) error) (err error) {
	g, err := t.guest(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close(ctx)) }()
	return f(g)
}

// sp1 says that a rule is of our own ABI.
func sp1(t *trial) string {
	if !strings.HasPrefix(t.ABI, "sp1 ") {
		return "not sp1: " + t.ABI
	}
	return ""
}

// batched says that a rule is of plugins that are given batches.
func batched(t *trial) string {
	if lack := sp1(t); lack != "" {
		return lack
	}
	if t.ABI != "sp1 (sp_process)" {
		return "it is given values one by one: " + t.ABI
	}
	return ""
}

// differ says where two results part.
func differ(a, b []Line) error {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a) || i < len(b) && b[i].Input < a[i].Input:
			return fmt.Errorf("record %d has one more output: %s", b[i].Input+1, shown(b[i].String()))
		case i >= len(b) || a[i].Input < b[i].Input:
			return fmt.Errorf("record %d has one output less: %s", a[i].Input+1, shown(a[i].String()))
		case a[i].String() != b[i].String():
			return fmt.Errorf("record %d gives %s, and then %s", a[i].Input+1, shown(a[i].String()), shown(b[i].String()))
		}
	}
	return nil
}

// otherwise says where two results part, and when the second came about.
func otherwise(when string, a, b []Line) error {
	if err := differ(a, b); err != nil {
		return fmt.Errorf("%s %w", when, err)
	}
	return nil
}
