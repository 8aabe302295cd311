package chaos

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/streamproc/streamproc/config"
)

func TestEveryKindHasAPlanAndAConfigurationThatIsValid(t *testing.T) {
	names := map[string]bool{}
	for _, k := range Kinds {
		for _, delivery := range []string{AtLeastOnce, ExactlyOnce} {
			s := k.Make(1, 1)
			s.Delivery = delivery
			s.complete()
			if s.Name != k.Name || delivery == AtLeastOnce && names[s.Name] {
				t.Errorf("kind %s makes scenario %s", k.Name, s.Name)
			}
			names[s.Name] = true
			events := s.Plan(random(1))
			if len(events) < 5 {
				t.Errorf("%s has %d faults", k.Name, len(events))
			}
			for _, e := range events {
				if e.Fault.Break == nil || e.Fault.Name == "" || e.Lasts < e.Fault.Lasts || e.Lasts > max(e.Fault.Lasts, e.Fault.UpTo) {
					t.Errorf("%s: fault %q lasts %v", k.Name, e.Fault.Name, e.Lasts)
				}
			}
			r := rig{dir: t.TempDir()}
			s.Load.IDs, s.Load.Keys = 10, 10
			lanes := []*lane{newLane("one", s.Load, time.Now()), newLane("two", s.Load, time.Now())}
			if err := r.write(s.configuration(lanes, []string{"127.0.0.1:1", "127.0.0.1:2"}, "127.0.0.1:3")); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(config.Options{Paths: []string{filepath.Join(r.dir, "chaos.yaml")}}); err != nil {
				t.Errorf("%s: %v", k.Name, err)
			}
		}
	}
}

func TestAFractionHasAShareOfEveryFault(t *testing.T) {
	for _, k := range Kinds {
		small, full := k.Make(1, 0.1), k.Make(1, 1)
		if small.Load.IDs*10 != full.Load.IDs {
			t.Errorf("%s: %d ids are no tenth of %d", k.Name, small.Load.IDs, full.Load.IDs)
		}
		some, all := map[string]bool{}, map[string]bool{}
		for _, e := range small.Plan(random(1)) {
			some[e.Fault.Name] = true
		}
		for _, e := range full.Plan(random(1)) {
			all[e.Fault.Name] = true
		}
		if len(some) != len(all) {
			t.Errorf("%s: a tenth has %d kinds of fault, all of it %d", k.Name, len(some), len(all))
		}
	}
}

func TestScenariosAreChosenByName(t *testing.T) {
	if got, err := choose(Kinds, "storm,kill"); err != nil || len(got) != 2 || got[0].Name != "storm" || got[1].Name != "kill" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := choose(Kinds, "kill,strom"); err == nil {
		t.Error("a name that is none was taken")
	}
}
