package workshop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/streamproc/streamproc/runtime"
)

var startRules = []rule{
	{"it starts, and ends when told", (*trial).starts,
		"it is started with config.json beside it, or with --config", nil},
	{"instances are alike", (*trial).anew,
		"let the start depend on the configuration alone, not on the time or on random bytes: an instance may be replaced at any record", nil},
	{"an empty configuration", (*trial).unconfigured,
		"take a default for what is not set, or refuse to start with a text: 1 from sp_init after sp1.error(-1, text)", configurable},
	{"a broken configuration", (*trial).misconfigured,
		"refuse to start, with a text, where a setting is wrong or not known: 1 from sp_init after sp1.error(-1, text); in a script, throw", configurable},
}

func (t *trial) starts(ctx context.Context) (saw string, err error) {
	idle := uint32(0)
	if err := t.used(ctx, runtime.Events{Memory: func(b uint32) { idle = b }}, func(*runtime.Guest) error { return nil }); err != nil {
		t.failed = true
		return "", err
	}
	return fmt.Sprintf("%d KiB when idle, of %d KiB", idle>>10, t.plugin.MemoryBytes()>>10), nil
}

// anew compares an instance with the one that takes its place in the same worker, as after a trap, which for a script is a reset;
// and with that of another worker.
func (t *trial) anew(ctx context.Context) (saw string, err error) {
	var first, again []Line
	var size, idle, idleAgain uint32
	err = t.used(ctx, runtime.Events{Memory: func(b uint32) { size = b }}, func(g *runtime.Guest) (err error) {
		idle = size
		if first, err = through(ctx, g, t.records, 0); err != nil {
			return err
		}
		if err = g.Forget(ctx); err != nil {
			return fmt.Errorf("it does not start a second time: %w", err)
		}
		idleAgain = size
		again, err = through(ctx, g, t.records, 0)
		return err
	})
	if err != nil {
		return "", err
	}
	if idle != idleAgain && !t.IsScript() { // the memory of a reset engine is as it was, and as large as it is
		return "", fmt.Errorf("when idle, the first takes %d KiB, and the one that takes its place %d", idle>>10, idleAgain>>10)
	}
	if err := otherwise("in the one that takes its place", first, again); err != nil {
		return "", err
	}
	second, err := t.Run(ctx, t.records)
	if err != nil {
		return "", err
	}
	return "", otherwise("in another worker", first, second)
}

// configurable says that a rule is of plugins whose configuration is their author's.
func configurable(t *trial) string {
	if t.IsScript() {
		return ""
	}
	if sp1(t) != "" {
		return "not sp1, nor a script: " + t.ABI
	}
	if _, ok := t.module.Exported("sp_init"); !ok {
		return "it has no sp_init"
	}
	return ""
}

// errWordless is a refusal of which nobody can tell what it is about.
var errWordless = errors.New("it is refused without a word")

// configured starts the plugin with another configuration, and returns the words with which it refuses that; "" is that it
// does not. Anything else that keeps it from starting is an error.
func (t *trial) configured(ctx context.Context, config json.RawMessage) (words string, err error) {
	p, err := t.other(ctx, func(s *runtime.Source) { s.Config = config })
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, p.plugin.Close(ctx)) }()
	g, err := p.guest(ctx, runtime.Events{})
	if err == nil {
		return "", g.Close(ctx)
	}
	words, refused := runtime.Refused(err)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case refused && words == "":
		return "", errWordless
	case refused:
		return words, nil
	case t.IsScript(): // what it throws is its word
		return err.Error(), nil
	}
	return "", err
}

func (t *trial) unconfigured(ctx context.Context) (string, error) {
	if len(t.source.Config) == 0 {
		return "", skipping("it was started without one")
	}
	words, err := t.configured(ctx, json.RawMessage("{}"))
	switch {
	case err != nil:
		return "", fmt.Errorf("with {}: %w", err)
	case words == "":
		return "{} is taken", nil
	}
	return "{} is refused: " + shown(words), nil
}

func (t *trial) misconfigured(ctx context.Context) (string, error) {
	refused, said, taken := 0, "", ""
	all := broken(t.source.Config)
	for _, config := range all {
		words, err := t.configured(ctx, config)
		switch {
		case err != nil:
			return "", fmt.Errorf("with %s: %w", shown(string(config)), err)
		case words == "":
			taken = string(config)
		default:
			refused, said = refused+1, words
		}
	}
	switch {
	case refused > 0:
		return fmt.Sprintf("%d of %d are refused: %s", refused, len(all), shown(said)), nil
	case len(t.source.Config) == 0:
		return "", skipping("it refuses nothing, and was given no settings: try --config")
	}
	return "", warnf("it takes whatever it is given, as in %s", shown(taken))
}

// mostBroken bounds the settings that are broken.
const mostBroken = 10

// broken makes configurations that can hardly be right of one that is: with a setting that is not known, with each setting as
// something else, and one that is no object.
func broken(config json.RawMessage) (list []json.RawMessage) {
	var settings map[string]json.RawMessage
	if json.Unmarshal(config, &settings) != nil || settings == nil {
		settings = map[string]json.RawMessage{}
	}
	with := func(name, value string) json.RawMessage {
		other := map[string]json.RawMessage{name: json.RawMessage(value)}
		for n, v := range settings {
			if n != name {
				other[n] = v
			}
		}
		text, _ := json.Marshal(other) // of values that were read
		return text
	}
	names := sortedKeys(settings)
	for _, name := range names[:min(len(names), mostBroken)] {
		value := `"nonsense"`
		if strings.HasPrefix(string(settings[name]), `"`) {
			value = `{"non":"sense"}`
		}
		list = append(list, with(name, value))
	}
	return append(list, with("no_such_setting", "true"), json.RawMessage(`"nonsense"`))
}
