package admin

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

const patience = 10 * time.Second

// serve runs the endpoint on a free port until the test ends, and returns its base URL.
func serve(t *testing.T, o Options) string {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	endpoint, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- endpoint.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return "http://" + endpoint.Addr()
}

func options() Options {
	return Options{Ready: func() []Pipeline { return []Pipeline{{Name: "p", State: "running", Ready: true}} }, Status: func() any { return []string{"p"} },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("# metrics\n")) }), Version: Version{Version: "v1", Go: "go1"}}
}

// get asks for a path, with a Host and an Authorization where they are given.
func get(t *testing.T, method, url, host, auth string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Host = host; auth != "" {
		r.Header.Set("Authorization", auth)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestReadyOnlyWhenEveryPipelineIs(t *testing.T) {
	list := []Pipeline{{Name: "a", State: "running", Ready: true, Checks: map[string]string{"kafka": "ok"}},
		{Name: "b", State: "stalled", Why: "Redis is away", Checks: map[string]string{"redis": "no answer for 3s: connection refused"}}}
	o := options()
	o.Ready = func() []Pipeline { return list }
	base := serve(t, o)
	code, body := get(t, "GET", base+"/readyz", "", "")
	if code != 503 || !strings.Contains(body, `"why":"Redis is away"`) || !strings.Contains(body, `"redis":"no answer for 3s: connection refused"`) {
		t.Errorf("%d %s", code, body)
	}
	list[1].Ready = true
	if code, body := get(t, "GET", base+"/readyz", "", ""); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get(t, "GET", base+"/livez", "", ""); code != 200 || body != "ok\n" {
		t.Errorf("/livez: %d %s", code, body)
	}
}

func TestGuardWantsHostAndToken(t *testing.T) {
	o := options()
	o.Token, o.Hosts = "s3", []string{"streamproc.internal"}
	base := serve(t, o)
	for _, c := range []struct {
		path, host, auth string
		want             int
	}{
		{"/version", "evil.example", "Bearer s3", 403},
		{"/livez", "evil.example", "", 403},
		{"/version", "localhost:1", "", 401},
		{"/version", "localhost:1", "Bearer x", 401},
		{"/version", "localhost:1", "Bearer s3", 200},
		{"/version", "streamproc.internal", "Bearer s3", 200},
		{"/version", "[::1]:7480", "Bearer s3", 200},
		{"/metrics", "", "", 401},
		{"/metrics", "", "Bearer s3", 200},
		{"/api/v1/status", "", "", 401},
		{"/livez", "", "", 200}, // a probe knows no token
		{"/readyz", "", "", 200},
	} {
		if code, body := get(t, "GET", base+c.path, c.host, c.auth); code != c.want {
			t.Errorf("%s for %q with %q: %d %s, want %d", c.path, c.host, c.auth, code, body, c.want)
		}
	}
}

func TestNothingCanBeChanged(t *testing.T) {
	base := serve(t, options())
	for _, path := range documented(t) {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
			if code, _ := get(t, method, base+path, "", ""); code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, code)
			}
		}
	}
}

func TestProfilesOnlyWhenAskedFor(t *testing.T) {
	o := options()
	if code, _ := get(t, "GET", serve(t, o)+"/debug/pprof/", "", ""); code != 404 {
		t.Errorf("without admin.debug: %d", code)
	}
	o.Debug = true
	if code, _ := get(t, "GET", serve(t, o)+"/debug/pprof/", "", ""); code != 200 {
		t.Errorf("with admin.debug: %d", code)
	}
}

func TestOpenToTheWorldWithoutTokenIsAnError(t *testing.T) {
	o := options()
	o.Listen = "0.0.0.0:0"
	if _, err := Listen(o); err == nil || !strings.Contains(err.Error(), "admin.token") {
		t.Errorf("%v", err)
	}
}

func TestATakenAddressIsAnErrorWithARemedy(t *testing.T) {
	o := options()
	o.Listen = strings.TrimPrefix(serve(t, o), "http://")
	if _, err := Listen(o); err == nil || !strings.Contains(err.Error(), `is taken, perhaps by another instance: write admin: { listen: "127.0.0.1:0" }`) {
		t.Errorf("%v", err)
	}
}

// documented returns the paths of the OpenAPI document.
func documented(t *testing.T) (paths []string) {
	t.Helper()
	var doc struct {
		Paths map[string]struct {
			Get struct{ Responses map[string]any }
		}
	}
	if err := yaml.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths {
		if item.Get.Responses["200"] == nil {
			t.Errorf("%s documents no 200", path)
		}
		paths = append(paths, path)
	}
	return paths
}

// served are the patterns of Handler, without those of debug.
var served = []string{"/livez", "/readyz", "/version", "/metrics", "/api/v1/status", "/api/v1/openapi.yaml"}

func TestWhatIsServedIsDocumented(t *testing.T) {
	paths := documented(t)
	if len(paths) != len(served) {
		t.Errorf("documented are %v, served %v", paths, served)
	}
	base := serve(t, options())
	for _, path := range append(paths, served...) {
		if code, body := get(t, "GET", base+path, "", ""); code != 200 {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
