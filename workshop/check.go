package workshop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/streamproc/streamproc/fields"
	"github.com/streamproc/streamproc/runtime"
)

// Rule is one thing that a plugin has to keep to, and whether it does.
type Rule struct {
	Name string `json:"rule"`
	Pass bool   `json:"pass"`
	Why  string `json:"why,omitempty"` // what was seen, where it does not
}

// Check puts a plugin through the rules, with the records given and with awkward ones. A rule that fails does not keep the
// others from being tried. The error is trouble of the check itself.
func (p *Plugin) Check(ctx context.Context, records []Record) (list []Rule, err error) {
	rules := []struct {
		name string
		try  func(context.Context, []Record) error
	}{
		{"it starts, and ends when it is told to", p.starts},
		{"the same records have the same result on a fresh instance", p.repeats},
		{"the result does not depend on how records are cut into batches", p.cuts},
		{"a batch leaves nothing behind that changes the next", p.forgets},
		{"null, empty, long and odd values cost at most themselves", p.endures},
		{"memory does not grow from batch to batch", p.settles},
		{"a record costs less than a tenth of its fuel", p.thrifty},
		{"each field that it wants is in one of the records", p.finds},
	}
	for _, r := range rules {
		rule := Rule{Name: r.name, Pass: true}
		if err := r.try(ctx, records); err != nil {
			if ctx.Err() != nil {
				return list, ctx.Err()
			}
			rule.Pass, rule.Why = false, err.Error()
		}
		list = append(list, rule)
	}
	return list, nil
}

func (p *Plugin) starts(ctx context.Context, _ []Record) error {
	g, err := p.guest(ctx, runtime.Events{})
	if err != nil {
		return err
	}
	return g.Close(ctx)
}

func (p *Plugin) repeats(ctx context.Context, records []Record) error {
	first, err := p.Run(ctx, records)
	if err != nil {
		return err
	}
	second, err := p.Run(ctx, records)
	if err != nil {
		return err
	}
	return differ(first, second)
}

// cuts compares one batch with one record at a time.
func (p *Plugin) cuts(ctx context.Context, records []Record) (err error) {
	whole, err := p.Run(ctx, records)
	if err != nil {
		return err
	}
	g, err := p.guest(ctx, runtime.Events{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close(ctx)) }()
	var single []Line
	for i := range records {
		lines, err := through(ctx, g, records[:i+1], i)
		if err != nil {
			return err
		}
		single = append(single, lines...)
	}
	return differ(whole, single)
}

func (p *Plugin) forgets(ctx context.Context, records []Record) (err error) {
	g, err := p.guest(ctx, runtime.Events{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close(ctx)) }()
	first, err := through(ctx, g, records, 0)
	if err != nil {
		return err
	}
	second, err := through(ctx, g, records, 0)
	if err != nil {
		return err
	}
	return differ(first, second)
}

// differ says where two results part.
func differ(a, b []Line) error {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return fmt.Errorf("record %d has one more output: %s", b[i].Input+1, b[i])
		case i >= len(b):
			return fmt.Errorf("record %d has one output less: %s", a[i].Input+1, a[i])
		case a[i].Input != b[i].Input || a[i].String() != b[i].String():
			return fmt.Errorf("record %d gives %s, and then %s", a[i].Input+1, a[i], b[i])
		}
	}
	return nil
}

// awkwardBytes is the size of the longest of the awkward values: the default limit of a record.
const awkwardBytes = 1 << 20

// endures puts awkward records between those given, which must come out as they did.
func (p *Plugin) endures(ctx context.Context, records []Record) error {
	var awkward []Record
	for _, value := range [][]byte{nil, {}, []byte("{"), []byte("[]"), []byte(`"text"`), []byte("-0"), bytes.Repeat([]byte("["), 10_000), {0xff, 0xfe, 0},
		bytes.Repeat([]byte("x"), awkwardBytes)} {
		awkward = append(awkward, Record{Value: value})
	}
	var mixed []Record
	place := map[int]int{} // of the records given, among the mixed
	for i := range max(len(records), len(awkward)) {
		if i < len(awkward) {
			mixed = append(mixed, awkward[i])
		}
		if i < len(records) {
			place[len(mixed)] = i
			mixed = append(mixed, records[i])
		}
	}
	alone, err := p.Run(ctx, records)
	if err != nil {
		return err
	}
	all, err := p.Run(ctx, mixed)
	if err != nil {
		return err
	}
	var kept []Line
	for _, l := range all {
		if i, ok := place[l.Input]; ok {
			l.Input = i
			kept = append(kept, l)
		}
	}
	return differ(alone, kept)
}

const (
	warmBatches   = 50  // after so many batches the memory should have its size
	settleBatches = 200 // and in so many more it should not grow
	growthAllowed = 1 << 20
)

func (p *Plugin) settles(ctx context.Context, records []Record) (err error) {
	var size uint32
	g, err := p.guest(ctx, runtime.Events{Memory: func(b uint32) { size = b }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close(ctx)) }()
	warm := uint32(0)
	for i := range warmBatches + settleBatches {
		lives := g.Lives()
		lines, err := through(ctx, g, records, 0)
		if err != nil {
			return err
		}
		if g.Lives() > lives && !slices.ContainsFunc(lines, func(l Line) bool { return l.Failed != "" }) {
			return fmt.Errorf("in batch %d its memory was full, and it was started anew, though no record was to blame: does it free what it allocates?", i+1)
		}
		if i == warmBatches {
			warm = size
		}
	}
	if size > warm+growthAllowed {
		return fmt.Errorf("it has grown from %d KiB to %d KiB in %d batches: does it free what it allocates?", warm>>10, size>>10, settleBatches)
	}
	return nil
}

func (p *Plugin) thrifty(ctx context.Context, records []Record) error {
	m, err := p.Measure(ctx, records, len(records), 10*time.Millisecond)
	if err != nil {
		return err
	}
	limit := p.plugin.Fuel()
	if m.FuelPerRecord > float64(limit)/10 {
		return fmt.Errorf("%.0f units of a limit of %d: a larger record would not get through", m.FuelPerRecord, limit)
	}
	return nil
}

// finds looks for the fields that the plugin wants: a name that no record has is misspelt, or these records are not what it
// is for.
func (p *Plugin) finds(ctx context.Context, records []Record) (err error) {
	g, err := p.guest(ctx, runtime.Events{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close(ctx)) }()
	set, err := fields.New(g.Fields())
	if err != nil {
		return err
	}
	found, spans := make([]bool, len(set.Names())), make([]fields.Span, len(set.Names()))
	for i := range records {
		if set.Find(records[i].Value, spans) != nil {
			continue // as a dead letter it says why itself
		}
		for n, s := range spans {
			found[n] = found[n] || !s.Missing()
		}
	}
	for n, name := range set.Names() {
		if !found[n] {
			return fmt.Errorf("no record has the field %q: is it misspelt?", name)
		}
	}
	return nil
}
