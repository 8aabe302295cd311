package workshop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/streamproc/streamproc/fields"
	"github.com/streamproc/streamproc/runtime"
)

var behaviourRules = []rule{
	{"the records do not trap", (*trial).sound,
		"let the record fail, with a text: verdict 2 after sp1.error, in a script an error; or raise the limit that is named", nil},
	{"batches may be cut anywhere", (*trial).cuts,
		"let each record be answered by itself, whatever stands beside it in its batch", nil},
	{"a batch leaves nothing behind", (*trial).forgets,
		"keep nothing of a record: memory may vanish, and records come again; to remember, see look_back", nil},
	{"odd values spare the others", (*trial).endures,
		"let no record change what is made of the next", nil},
	{"no clock and no random bytes", (*trial).ambient,
		"take the timestamp of the record for the time; what is random differs when the record is read again", nil},
	{"memory does not grow", (*trial).settles,
		"free what is allocated for a record", nil},
	{"there is fuel to spare", (*trial).thrifty,
		"do less for a record, or raise limits: { fuel: … }: beyond a tenth of it, larger records do not get through", nil},
	{"few lines are logged", (*trial).quiet,
		"count by sp1.metric_add instead, or log what is rare: limits: { log_lines: 100 } a second, the rest is left out", nil},
	{"the fields it wants are there", (*trial).finds,
		"see how the name is written, and have a record with the field among those that it is tried with", nil},
}

func (t *trial) sound(ctx context.Context) (saw string, err error) {
	lines, err := t.Run(ctx, t.records)
	if err != nil {
		return "", err
	}
	failed := 0
	for _, l := range lines {
		if l.Failed != "" {
			failed++
		}
	}
	return fmt.Sprintf("%d of %d fail", failed, len(t.records)), mishap(lines, func(n int) string { return fmt.Sprintf("record %d", n+1) })
}

// cuts compares one batch with one record at a time.
func (t *trial) cuts(ctx context.Context) (saw string, err error) {
	whole, err := t.Run(ctx, t.records)
	if err != nil {
		return "", err
	}
	var single []Line
	err = t.used(ctx, runtime.Events{}, func(g *runtime.Guest) error {
		for i := range t.records {
			lines, err := through(ctx, g, t.records[:i+1], i)
			if err != nil {
				return err
			}
			single = append(single, lines...)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return "", otherwise("one by one", whole, single)
}

func (t *trial) forgets(ctx context.Context) (saw string, err error) {
	return "", t.used(ctx, runtime.Events{}, func(g *runtime.Guest) error {
		first, err := through(ctx, g, t.records, 0)
		if err != nil {
			return err
		}
		second, err := through(ctx, g, t.records, 0)
		if err != nil {
			return err
		}
		return otherwise("a second time", first, second)
	})
}

// endures puts awkward records between those given, which must come out as they did.
func (t *trial) endures(ctx context.Context) (saw string, err error) {
	odd := awkwardRecords()
	var mixed []Record
	place := map[int]int{} // of the records given, among the mixed
	for i := range max(len(t.records), len(odd)) {
		if i < len(odd) {
			mixed = append(mixed, odd[i])
		}
		if i < len(t.records) {
			place[len(mixed)] = i
			mixed = append(mixed, t.records[i])
		}
	}
	alone, err := t.Run(ctx, t.records)
	if err != nil {
		return "", err
	}
	all, err := t.Run(ctx, mixed)
	if err != nil {
		return "", err
	}
	var kept []Line
	for _, l := range all {
		if i, ok := place[l.Input]; ok {
			l.Input = i
			kept = append(kept, l)
		}
	}
	return "", otherwise("between odd values", alone, kept)
}

// later is by how much the time of a batch is moved: another hour, day, month and year.
const later = (400*24+7)*time.Hour + 13*time.Minute

// ambient runs the records at another time, and with other random bytes.
func (t *trial) ambient(ctx context.Context) (saw string, err error) {
	end := t.records[len(t.records)-1]
	for i := range t.records {
		end.Timestamp = max(end.Timestamp, t.records[i].Timestamp)
	}
	at := func(more time.Duration) ([]Line, error) { // the time of a batch is the greatest timestamp in it
		last := end
		last.Timestamp += more.Milliseconds()
		lines, err := t.Run(ctx, append(slices.Clone(t.records), last))
		return slices.DeleteFunc(lines, func(l Line) bool { return l.Input == len(t.records) }), err
	}
	want, err := at(0)
	if err != nil {
		return "", err
	}
	got, err := at(later)
	if err != nil {
		return "", err
	}
	if err := otherwise("it uses the clock: in a later batch", want, got); err != nil {
		return "", warning(err.Error())
	}
	return "", t.chance(ctx)
}

// chance runs the records with other random bytes.
func (t *trial) chance(ctx context.Context) (err error) {
	want, err := t.Run(ctx, t.records)
	if err != nil {
		return err
	}
	p, err := t.other(ctx, func(s *runtime.Source) { s.Seed = 0x5DEECE66D })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.plugin.Close(ctx)) }()
	got, err := p.Run(ctx, t.records)
	if err != nil {
		return err
	}
	if err := otherwise("it uses random bytes, or the time of its start: with others", want, got); err != nil {
		return warning(err.Error())
	}
	return nil
}

const (
	warmBatches   = 50  // after so many batches the memory should have its size
	settleBatches = 200 // and in so many more it should not grow
	growthAllowed = 1 << 20
)

func (t *trial) settles(ctx context.Context) (saw string, err error) {
	size, warm := uint32(0), uint32(0)
	err = t.used(ctx, runtime.Events{Memory: func(b uint32) { size = b }}, func(g *runtime.Guest) error {
		for i := range warmBatches + settleBatches {
			lives := g.Lives()
			lines, err := through(ctx, g, t.records, 0)
			if err != nil {
				return err
			}
			if g.Lives() > lives && !slices.ContainsFunc(lines, func(l Line) bool { return l.Failed != "" }) {
				return fmt.Errorf("in batch %d its memory was full, and it was started anew, though no record was to blame", i+1)
			}
			if i == warmBatches {
				warm = size
			}
		}
		return nil
	})
	if err == nil && size > warm+growthAllowed {
		err = fmt.Errorf("it has grown from %d KiB to %d KiB in %d batches", warm>>10, size>>10, settleBatches)
	}
	return fmt.Sprintf("%d KiB after %d batches", size>>10, warmBatches+settleBatches), err
}

const (
	fuelSamples = 1_000 // records whose fuel is looked at, at least one round of those given
	fuelShare   = 10    // a record may cost one part of so many of its fuel, in the mean
	dearShare   = 2     // and one in a hundred, in which a collector may be at work, one of so many
)

// thrifty looks at what each record costs by itself.
func (t *trial) thrifty(ctx context.Context) (saw string, err error) {
	fuel, all, spent := int64(0), int64(0), []int64{}
	err = t.used(ctx, runtime.Events{Fuel: func(units int64) { fuel += units }}, func(g *runtime.Guest) error {
		if _, err := through(ctx, g, t.records, 0); err != nil { // the first ones cost more: that is the start's
			return err
		}
		for range 1 + fuelSamples/len(t.records) {
			for i := range t.records {
				fuel = 0
				lives := g.Lives()
				if _, err := through(ctx, g, t.records[:i+1], i); err != nil {
					return err
				}
				if g.Lives() == lives { // what cost an instance was tried again
					spent, all = append(spent, fuel), all+fuel
				}
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if len(spent) == 0 {
		return "", skipping("each of the records costs an instance")
	}
	slices.Sort(spent)
	mean, dear, limit := all/int64(len(spent)), spent[len(spent)*99/100], t.plugin.Fuel()
	saw = fmt.Sprintf("%.2g %% of %s: p50 %s, p99 %s", 100*float64(mean)/float64(limit), humanize.Comma(limit), humanize.Comma(spent[len(spent)/2]), humanize.Comma(dear))
	switch {
	case mean > limit/fuelShare:
		return "", errors.New(saw)
	case dear > limit/dearShare:
		return "", warning(saw)
	}
	return saw, nil
}

// quiet counts lines of the log. The same line again is not one.
func (t *trial) quiet(ctx context.Context) (saw string, err error) {
	lines := 0
	err = t.used(ctx, runtime.Events{Log: func(string) { lines++ }}, func(g *runtime.Guest) error {
		lines = 0 // that of the start come once
		for i := range t.records {
			if _, err := through(ctx, g, t.records[:i+1], i); err != nil {
				return err
			}
		}
		if lines >= len(t.records) {
			return warnf("there is a line for each record, and more: %d for %d", lines, len(t.records))
		}
		saw = fmt.Sprintf("%d for each 100 records", 100*lines/len(t.records))
		return nil
	})
	return saw, err
}

// finds looks for the fields that the plugin wants: a name that no record has is misspelt, or these records are not what it
// is for.
func (t *trial) finds(ctx context.Context) (saw string, err error) {
	var names []string
	err = t.used(ctx, runtime.Events{}, func(g *runtime.Guest) error {
		names = g.Fields()
		return nil
	})
	if err == nil && len(names) == 0 {
		err = skipping("it is given whole values")
	}
	if err != nil {
		return "", err
	}
	set, err := fields.New(names)
	if err != nil {
		return "", err
	}
	found, spans := make([]bool, len(names)), make([]fields.Span, len(names))
	for i := range t.records {
		if set.Find(t.records[i].Value, spans) != nil {
			continue // as a dead letter it says why itself
		}
		for n, s := range spans {
			found[n] = found[n] || !s.Missing()
		}
	}
	for n, name := range names {
		if !found[n] {
			return "", fmt.Errorf("no record has the field %q", name)
		}
	}
	return fmt.Sprintf("%d of %d", len(names), len(names)), nil
}
