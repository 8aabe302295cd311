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

func TestNothingCanBeChangedButByAReload(t *testing.T) {
	base := serve(t, options())
	for _, path := range served {
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
			Get, Post struct{ Responses map[string]any }
		}
	}
	if err := yaml.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths {
		if item.Get.Responses["200"] == nil && item.Post.Responses["200"] == nil {
			t.Errorf("%s documents no 200", path)
		}
		if item.Get.Responses != nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// served are the patterns of Handler that are read, without those of debug.
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

func TestAReloadIsAskedForByWhoMay(t *testing.T) {
	var asked []Reload
	o, trouble := options(), ""
	o.Reload = func(_ context.Context, r Reload) Reloaded {
		asked = append(asked, r)
		return Reloaded{[]string{"p"}, trouble}
	}
	o.Token = "s3"
	base := serve(t, o) + "/api/v1/reload"
	for _, c := range []struct {
		query, auth, site string
		want              int
		body              string
	}{
		{"", "", "", 401, "token"},
		{"", "Bearer s3", "cross-site", 403, "cross-origin"},
		{"?yess=true", "Bearer s3", "", 400, "yes, now and rollback"},
		{"?now=1", "Bearer s3", "", 400, "true or false"},
		{"", "Bearer s3", "", 200, `{"pipelines":["p"]}`},
		{"?yes=true&rollback=true&now=false", "Bearer s3", "same-origin", 200, `"p"`},
	} {
		if code, body := post(t, base+c.query, c.auth, c.site); code != c.want || !strings.Contains(body, c.body) {
			t.Errorf("%+v: %d %s", c, code, body)
		}
	}
	if len(asked) != 2 || asked[0] != (Reload{}) || asked[1] != (Reload{Yes: true, Rollback: true}) {
		t.Errorf("asked for were %+v", asked)
	}
	trouble = "p.yaml:1:1: no"
	if code, body := post(t, base, "Bearer s3", ""); code != 409 || !strings.Contains(body, trouble) {
		t.Errorf("refused: %d %s", code, body)
	}
	if code, _ := get(t, "GET", base, "", "Bearer s3"); code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", code)
	}
}

// post asks as a browser on a page of another site would, or not.
func post(t *testing.T, url, auth, site string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", auth)
	if site != "" {
		r.Header.Set("Sec-Fetch-Site", site)
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
