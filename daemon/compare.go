package daemon

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/streamproc/streamproc/config"
)

// What a reload does, or does not do, with a pipeline.
type What string

// The words.
const (
	Unchanged What = "unchanged" // nothing of it has changed: it was not touched
	Swapped   What = "swapped"   // its workers took new plugins or expressions between two checkpoints
	Restarted What = "restarted" // it was drained and started again with the new configuration
	Started   What = "started"
	Drained   What = "drained" // it is not configured any more; its offsets and its state stay
	Refused   What = "refused" // and with it the reload
)

// Change is what became of one pipeline.
type Change struct {
	Pipeline string   `json:"pipeline"`
	What     What     `json:"what"`
	Why      string   `json:"why,omitempty"`   // what has changed
	Notes    []string `json:"notes,omitempty"` // what an operator should know
}

// compare finds what the step from one generation of a pipeline to the next takes.
func compare(was, is *builder) Change {
	c := Change{Pipeline: is.cfg.Name, What: Unchanged}
	if was == is {
		return c
	}
	one, other := frameOf(was.cfg), frameOf(is.cfg)
	steps := changedSteps(was, is)
	switch {
	case was.files != is.files:
		c.What, c.Why = Restarted, "certificates have changed"
	case !reflect.DeepEqual(one, other):
		c.What, c.Why = Restarted, strings.Join(differences(one, other), ", ")+" changed"
	case len(steps) > 0:
		c.What, c.Why = Swapped, swapped(was, is, steps)
	default:
		return c
	}
	c.Notes = underived(is.cfg.Steps, steps)
	return c
}

// frame is what of a pipeline cannot be changed while its workers live: everything but what its steps without state do.
type frame struct {
	config.Pipeline
	Shape []shape
}

// shape is a step with what must stay.
type shape struct {
	Name, Verb, OnError string
	Dedup               *config.Dedup
	Reorder             *config.Reorder
	Rekey               *config.Rekey
	LookBack            int64
	Branches            []shape
}

func frameOf(p *config.Pipeline) frame {
	f := frame{*p, shapesOf(p.Steps)}
	f.Steps, f.Description = nil, ""
	return f
}

func shapesOf(steps []config.Step) (list []shape) {
	for i := range steps {
		st := &steps[i]
		s := shape{Name: st.Name, Verb: st.Verb(), Dedup: st.Dedup, Reorder: st.Reorder, Rekey: st.Rekey}
		if st.Dedup != nil || st.Reorder != nil {
			s.OnError = st.OnError
		}
		for _, use := range usesOf(steps[i : i+1]) {
			s.LookBack += use.LookBack
		}
		if st.Route != nil {
			for _, rule := range st.Route.Rules {
				s.Branches = append(s.Branches, shapesOf(rule.Steps)...)
			}
		}
		list = append(list, s)
	}
	return list
}

// settingNames are those of the fields of a pipeline, where they differ from the word in the files.
var settingNames = map[string]string{"ExactlyOnce": "delivery", "CommitInterval": "commit_interval", "Limits": "record_limits", "InFlightBytes": "limits.in_flight",
	"RecordsPerSecond": "limits.records_per_second", "Shape": "the steps"}

// differences names the settings that differ.
func differences(a, b frame) (names []string) {
	x, y := reflect.ValueOf(a.Pipeline), reflect.ValueOf(b.Pipeline)
	for i := range x.NumField() {
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			names = append(names, settingName(x.Type().Field(i).Name))
		}
	}
	if !reflect.DeepEqual(a.Shape, b.Shape) {
		names = append(names, settingName("Shape"))
	}
	return names
}

func settingName(field string) string {
	if name, ok := settingNames[field]; ok {
		return name
	}
	return strings.ToLower(field)
}

// changedSteps are the steps of a generation that are not the same in the one before it, in order. A route has changed if
// anything in its branches has.
func changedSteps(was, is *builder) (names []string) {
	before := map[string]*config.Step{}
	for i := range was.cfg.Steps {
		before[was.cfg.Steps[i].Name] = &was.cfg.Steps[i]
	}
	old, now := was.digests(), is.digests()
	for i := range is.cfg.Steps {
		st := &is.cfg.Steps[i]
		same := before[st.Name] != nil && reflect.DeepEqual(before[st.Name], st)
		for _, use := range usesOf([]config.Step{*st}) {
			name := is.names[use]
			same = same && old[name] == now[name]
		}
		if !same {
			names = append(names, st.Name)
		}
	}
	return names
}

// usesOf lists the plugins of steps, also of those in branches.
func usesOf(steps []config.Step) (uses []*config.PluginUse) {
	for i := range steps {
		switch st := &steps[i]; {
		case st.Transform != nil:
			uses = append(uses, st.Transform)
		case st.Filter != nil && st.Filter.Plugin != nil:
			uses = append(uses, st.Filter.Plugin)
		case st.Route != nil:
			for _, rule := range st.Route.Rules {
				uses = append(uses, usesOf(rule.Steps)...)
			}
		}
	}
	return uses
}

// digests are those of the modules, by step.
func (b *builder) digests() map[string]string {
	m := map[string]string{}
	for use, p := range b.plugins {
		m[b.names[use]] = p.Digest()
	}
	return m
}

// swapped tells what is new in steps: of a plugin with other bytes both digests.
func swapped(was, is *builder, steps []string) string {
	old, now := was.digests(), is.digests()
	var parts []string
	for _, step := range slices.Sorted(maps.Keys(now)) {
		if old[step] != "" && old[step] != now[step] {
			parts = append(parts, fmt.Sprintf("%s %s → %s", step, short(old[step]), short(now[step])))
			steps = slices.DeleteFunc(slices.Clone(steps), func(s string) bool { return s == step })
		}
	}
	if len(steps) > 0 && (len(parts) == 0 || !onlyRoute(is, steps)) {
		parts = append(parts, "settings of "+strings.Join(steps, ", "))
	}
	return strings.Join(parts, ", ")
}

// onlyRoute says that what is left is a route, which is named for the plugin in one of its branches.
func onlyRoute(b *builder, steps []string) bool {
	return len(steps) == 1 && steps[0] == b.cfg.Steps[len(b.cfg.Steps)-1].Name && b.cfg.Steps[len(b.cfg.Steps)-1].Route != nil
}

// digestShown is how much of a digest is enough to tell two apart.
const digestShown = 12

func short(digest string) string { return digest[:min(len(digest), digestShown)] }

// underived tells where what a step with state knows of records read until now rests on a step before it as it was: if
// the store forgets it, it is derived again with the step as it is, and may come out otherwise.
func underived(steps []config.Step, changed []string) (notes []string) {
	var before []string
	for i := range steps {
		if st := &steps[i]; (st.Dedup != nil || st.Reorder != nil) && len(before) > 0 {
			notes = append(notes, fmt.Sprintf("%s changed before %s: what %s knows of records read until now cannot be derived again if Redis forgets it; a rebuild would run them through the new %s",
				strings.Join(before, ", "), st.Name, st.Name, strings.Join(before, ", ")))
		}
		if slices.Contains(changed, steps[i].Name) {
			before = append(before, steps[i].Name)
		}
	}
	return notes
}

// whole is the pipeline of the files that a move is about, or about a part of.
func whole(m *move) string {
	if m.next != nil {
		return wholeOf(m.next.cfg)
	}
	return wholeOf(m.old.cfg)
}

func wholeOf(p *config.Pipeline) string { return cmp.Or(p.Of, p.Name) }

// forgotten tells, for each pipeline of the files, why steps with state would begin with another memory: what they know
// of the records until now counts no more.
func forgotten(moves []*move) map[string]string {
	before, now := map[string]map[string]any{}, map[string]map[string]any{}
	for _, m := range moves {
		if m.old != nil {
			remember(before, m.old.built.Load().cfg)
		}
		if m.next != nil {
			remember(now, m.next.cfg)
		}
	}
	lost := map[string]string{}
	for pipeline, was := range before {
		is := now[pipeline]
		fresh := slices.ContainsFunc(slices.Collect(maps.Keys(is)), func(name string) bool { return was[name] == nil })
		for _, name := range slices.Sorted(maps.Keys(was)) {
			switch {
			case is[name] == nil && fresh:
				lost[pipeline] = fmt.Sprintf("step %s has another name, or gives way to another step with state: %s", name, anew)
			case is[name] != nil && !reflect.DeepEqual(is[name], was[name]):
				lost[pipeline] = fmt.Sprintf("step %s has another key, scope or store: %s", name, anew)
			}
		}
	}
	return lost
}

const anew = "its memory would begin anew, copies of records seen before would pass, and what waits between the parts of a scope global stays there; say streamproc reload --yes if that is wanted"

// remember notes what the memory of each step with state is about.
func remember(in map[string]map[string]any, p *config.Pipeline) {
	m := in[wholeOf(p)]
	if m == nil {
		m = map[string]any{}
		in[wholeOf(p)] = m
	}
	for i := range p.Steps {
		switch st := &p.Steps[i]; {
		case st.Dedup != nil:
			m[st.Name] = []any{p.Name, st.Dedup.Key, addresses(st.Dedup.Store)}
		case st.Reorder != nil:
			m[st.Name] = []any{p.Name, st.Reorder.Key, st.Reorder.Sequence, st.Reorder.Time, addresses(st.Reorder.Store)}
		}
	}
}

// addresses are where a store is, whatever it is called and however one logs in.
func addresses(r *config.Redis) any {
	if r == nil {
		return nil
	}
	return []any{r.Addrs, r.Master, r.DB}
}
