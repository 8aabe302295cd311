// Package admin is the HTTP endpoint of the daemon: whether it lives, whether it is ready, and its account.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Limits of a request: an endpoint of small answers needs no more.
const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = time.Minute
	maxHeaderBytes    = 16 << 10
	shutdownTimeout   = 2 * time.Second
)

// Pipeline says whether one pipeline is ready, and if not, why.
type Pipeline struct {
	Name   string            `json:"name"`
	State  string            `json:"state"`
	Ready  bool              `json:"ready"`
	Why    string            `json:"why,omitempty"`
	Checks map[string]string `json:"checks"` // by dependency: ok, or a sentence
}

// Version says what was built.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

// Reload is what a request to reload asks for.
type Reload struct {
	Yes      bool // steps with state may begin with another memory
	Now      bool // new plugins need not run beside the old ones first
	Rollback bool // back to what ran before
}

// Reloaded is the answer to it.
type Reloaded struct {
	Pipelines any    `json:"pipelines"`       // what became of each
	Error     string `json:"error,omitempty"` // why the last good configuration runs on
}

// Options say where to listen and what to serve. The funcs are called by each request, several at a time, and must not
// block.
type Options struct {
	Listen          string // host:port; port 0 takes a free one
	Token           string // "": none is asked for
	Debug, Insecure bool
	Hosts           []string          // names allowed in Host, besides addresses and localhost
	Ready           func() []Pipeline // for /readyz
	Status          func() any        // the list of pipelines for /api/v1/status, as JSON
	Metrics         http.Handler
	Reload          func(context.Context, Reload) Reloaded // for POST /api/v1/reload; it may take its time
	Version         Version
}

// Endpoint listens.
type Endpoint struct {
	listener net.Listener
	handler  http.Handler
}

// Listen takes the address; Serve answers on it.
func Listen(o Options) (*Endpoint, error) {
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	if o.Token == "" && !o.Insecure && !loopback(host) {
		return nil, fmt.Errorf("admin.listen %s can be reached from outside: set admin.token, or admin.insecure: true", o.Listen)
	}
	listener, err := net.Listen("tcp", o.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("admin.listen %s is taken, perhaps by another instance: write admin: { listen: \"127.0.0.1:0\" } for a free port, or another address", o.Listen)
	case err != nil:
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	return &Endpoint{listener, Handler(o)}, nil
}

// Addr is where it listens.
func (e *Endpoint) Addr() string { return e.listener.Addr().String() }

// Serve answers until ctx ends.
func (e *Endpoint) Serve(ctx context.Context) error {
	s := &http.Server{Handler: e.handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes}
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = s.Shutdown(end)
	})
	defer stop()
	if err := s.Serve(e.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving admin: %w", err)
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

//go:embed openapi.yaml
var openAPI []byte

// Handler answers the requests.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		code, all := http.StatusOK, o.Ready()
		for i := range all {
			if !all[i].Ready {
				code = http.StatusServiceUnavailable
			}
		}
		answer(w, code, map[string]any{"pipelines": all})
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, o.Version) })
	mux.Handle("GET /metrics", o.Metrics)
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"pipelines": o.Status()})
	})
	mux.HandleFunc("POST /api/v1/reload", func(w http.ResponseWriter, r *http.Request) { reload(o, w, r) })
	mux.HandleFunc("GET /api/v1/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(openAPI)
	})
	if o.Debug {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	}
	return guard(o, http.NewCrossOriginProtection().Handler(mux))
}

// reload answers when it is done: 200, or 409 if it was refused.
func reload(o Options, w http.ResponseWriter, r *http.Request) {
	asked := Reload{}
	for name, values := range r.URL.Query() {
		flag, known := map[string]*bool{"yes": &asked.Yes, "now": &asked.Now, "rollback": &asked.Rollback}[name]
		if !known || values[0] != "true" && values[0] != "false" {
			http.Error(w, "a reload takes yes, now and rollback, each true or false", http.StatusBadRequest)
			return
		}
		*flag = values[0] == "true"
	}
	code, done := http.StatusOK, o.Reload(r.Context(), asked)
	if done.Error != "" {
		code = http.StatusConflict
	}
	answer(w, code, done)
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// guard lets in who may: a page in a browser that was led here by DNS has the wrong Host.
func guard(o Options, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + o.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		probe := r.URL.Path == "/livez" || r.URL.Path == "/readyz"
		switch {
		case !allowed(r.Host, o.Hosts):
			http.Error(w, "this Host is not in admin.hosts", http.StatusForbidden)
		case o.Token != "" && !probe && subtle.ConstantTimeCompare(got[:], want[:]) != 1:
			http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func allowed(host string, names []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost" || slices.Contains(names, host)
}
