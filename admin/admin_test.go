package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(h http.Handler, path, host, auth string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = host
	r.Header.Set("Authorization", auth)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestReadyOnlyWhenEveryPipelineIs(t *testing.T) {
	list := []Pipeline{{Name: "a", State: "running", Ready: true}, {Name: "b", State: "stalled", Why: "Redis is away"}}
	h := Handler(Options{Status: func() []Pipeline { return list }, Metrics: http.NotFoundHandler()})
	if w := get(h, "/readyz", "127.0.0.1:1", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "Redis is away") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	list[1].Ready = true
	if w := get(h, "/readyz", "127.0.0.1:1", ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestGuardWantsHostAndToken(t *testing.T) {
	h := Handler(Options{Token: "s3", Version: "v", Metrics: http.NotFoundHandler()})
	for _, c := range []struct {
		host, auth string
		want       int
	}{{"evil.example", "Bearer s3", 403}, {"localhost:1", "", 401}, {"localhost:1", "Bearer x", 401}, {"localhost:1", "Bearer s3", 200}} {
		if w := get(h, "/version", c.host, c.auth); w.Code != c.want {
			t.Errorf("%s %q: %d, want %d", c.host, c.auth, w.Code, c.want)
		}
	}
}

func TestOpenToTheWorldWithoutTokenIsAnError(t *testing.T) {
	if err := Serve(t.Context(), Options{Listen: "0.0.0.0:0", Metrics: http.NotFoundHandler()}, func(string) {}); err == nil || !strings.Contains(err.Error(), "admin.token") {
		t.Errorf("%v", err)
	}
}
