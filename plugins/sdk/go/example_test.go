package sp1_test

import (
	"encoding/json"
	"errors"
	"fmt"

	sp1 "github.com/streamproc/streamproc/plugins/sdk/go"
)

// mark is a handler: it drops what is empty, and marks the rest.
func mark(r *sp1.Record, out *sp1.Outputs) (sp1.Verdict, error) {
	if len(r.Value) == 0 {
		return sp1.Drop, nil
	}
	out.PutKeyed(r.Key, append([]byte("seen "), r.Value...))
	return sp1.Replaced, nil
}

// A handler is tested with a record and outputs that are made by hand.
func Example() {
	sp1.Handle(mark) // from init of a plugin

	var r sp1.Record
	var out sp1.Outputs
	r.Value = []byte("order")
	verdict, err := mark(&r, &out)
	fmt.Printf("%v %v %q\n", verdict == sp1.Replaced, err, out.Values())
	// Output: true <nil> ["seen order"]
}

func ExampleWant() {
	price, channel := sp1.Want("price"), sp1.Want("channel") // variables of the package, in a plugin
	sp1.Handle(func(r *sp1.Record, _ *sp1.Outputs) (sp1.Verdict, error) {
		if p, ok := price.Int(r); !ok || p < 1_000_000 {
			return sp1.Drop, nil
		}
		if name, _ := channel.Text(r); name != "Apple" {
			return sp1.Drop, nil
		}
		return sp1.Keep, nil
	})
}

func ExampleConfigure() {
	least := 0
	sp1.Configure(func(start []byte) error {
		s, err := sp1.ParseStart(start)
		if err != nil {
			return err
		}
		var config struct{ Least int }
		if err := json.Unmarshal(s.Config, &config); err != nil {
			return fmt.Errorf("config: %w", err)
		}
		if least = config.Least; least <= 0 {
			return errors.New("config: least is missing")
		}
		return nil
	})
}

func ExampleLookup() {
	sp1.Handle(func(r *sp1.Record, out *sp1.Outputs) (sp1.Verdict, error) {
		user, found := sp1.Lookup(r.Key)
		if !found {
			sp1.Count(0, 1) // the first of metrics
			sp1.Log(sp1.Debug, "nobody is called "+string(r.Key))
			return sp1.Keep, nil
		}
		out.Put(user)
		return sp1.Replaced, nil
	})
}
