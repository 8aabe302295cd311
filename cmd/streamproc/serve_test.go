package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/admin"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/internal/devstack"
	"gopkg.in/yaml.v3"
)

// running is a daemon of a configuration that has read n records, on a Kafka and a Redis in this process.
func running(t *testing.T, yaml string, records ...devstack.Record) (*daemon.Daemon, *config.Config) {
	t.Helper()
	stack, err := devstack.Start(context.Background(), devstack.Options{Topics: map[string]int{"orders": 1, "orders.out": 1, "orders.dlq": 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	cfg, err := config.Load(config.Options{Paths: []string{write(t, "p.yaml", yaml)}, LookupEnv: devEnv(stack)})
	if err != nil {
		t.Fatal(err)
	}
	d, err := daemon.New(t.Context(), cfg, daemon.Options{Logger: slog.New(slog.DiscardHandler), Instance: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("running: %v", err)
		}
		if err := d.Close(context.Background()); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	if _, err := devstack.Feed(t.Context(), stack.Brokers(), []string{"orders"}, slices.Values(records), 0); err != nil {
		t.Fatal(err)
	}
	limit := time.After(time.Minute)
	for d.Status()[0].Ledger.In < int64(len(records)) {
		select {
		case <-limit:
			t.Fatalf("it did not read them: %+v", d.Status())
		case <-time.After(lookEvery):
		}
	}
	return d, cfg
}

var oneHeld = []devstack.Record{{Key: []byte("a"), Value: []byte("0"), Headers: map[string]string{"seq": "0"}},
	{Key: []byte("a"), Value: []byte("2"), Headers: map[string]string{"seq": "2"}}}

func TestWhatIsServedIsWhatTheDocumentSays(t *testing.T) {
	d, cfg := running(t, ordered, oneHeld...)
	h := admin.Handler(adminOptions(cfg.Admin, d, nil))
	ask := func(path string) string {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "localhost"
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		return w.Body.String()
	}
	var doc schemas
	if err := yaml.Unmarshal([]byte(ask("/api/v1/openapi.yaml")), &doc); err != nil {
		t.Fatal(err)
	}
	for path, name := range map[string]string{"/readyz": "Readiness", "/version": "Version", "/api/v1/status": "StatusList"} {
		var v any
		if err := json.Unmarshal([]byte(ask(path)), &v); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, wrong := range doc.check(path, schema{Ref: "#/components/schemas/" + name}, v) {
			t.Error(wrong)
		}
	}
	status := ask("/api/v1/status")
	for _, want := range []string{`"held":1`, `"name":"in-order","verb":"reorder","in":2,"out":1`, `"topic":"orders","partition":0,"owned":true,"floor":1,"end":2,"lag_records":1`} {
		if !strings.Contains(status, want) {
			t.Errorf("%s is missing in %s", want, status)
		}
	}
}

// schemas is as much of an OpenAPI document as is needed to check an answer.
type schemas struct {
	Components struct{ Schemas map[string]schema }
}

type schema struct {
	Ref                  string `yaml:"$ref"`
	Type                 string
	Enum                 []string
	Required             []string
	Properties           map[string]schema
	AdditionalProperties any `yaml:"additionalProperties"`
	Items                *schema
}

// check says what of v is not as the schema says.
func (d *schemas) check(at string, s schema, v any) (wrong []string) {
	if s.Ref != "" {
		s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	kinds := map[string]bool{}
	switch v := v.(type) {
	case map[string]any:
		kinds["object"] = true
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				wrong = append(wrong, at+": "+name+" is missing")
			}
		}
		for name, member := range v {
			if property, ok := s.Properties[name]; ok {
				wrong = append(wrong, d.check(at+"."+name, property, member)...)
			} else if s.AdditionalProperties == false || s.AdditionalProperties == nil {
				wrong = append(wrong, at+": "+name+" is not documented")
			}
		}
	case []any:
		kinds["array"] = true
		for i, item := range v {
			wrong = append(wrong, d.check(fmt.Sprintf("%s[%d]", at, i), *s.Items, item)...)
		}
	case string:
		kinds["string"] = s.Enum == nil || slices.Contains(s.Enum, v)
	case bool:
		kinds["boolean"] = true
	case float64:
		kinds["number"], kinds["integer"] = true, v == float64(int64(v))
	}
	if !kinds[s.Type] {
		wrong = append(wrong, fmt.Sprintf("%s: %v is no %s %v", at, v, s.Type, s.Enum))
	}
	return wrong
}
