package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/metrics"
	"github.com/streamproc/streamproc/redisstate"
)

// storeCheck bounds how long the settings of one Redis are looked at before a pipeline starts.
const storeCheck = 3 * time.Second

// store is one Redis, for all pipelines that use it.
type store struct {
	*redisstate.Client
	cfg   *config.Redis
	files string // digest of its certificates and keys
	pulse *pulse
}

// pool holds the stores. It is used by one goroutine at a time.
type pool struct {
	metrics *metrics.Registry
	dial    dialer
	stores  []*store
}

// open returns the store that is configured like this.
func (p *pool) open(r *config.Redis) (*store, error) {
	files := digestOf(r.TLS)
	for _, s := range p.stores {
		if s.files == files && reflect.DeepEqual(s.cfg, r) {
			return s, nil
		}
	}
	t, err := tlsOf(r.TLS)
	if err != nil {
		return nil, fmt.Errorf("redis %s: %w", r.Name, err)
	}
	s := &store{cfg: r, files: files, pulse: &pulse{}}
	if s.Client, err = redisstate.Open(redisstate.Options{Addrs: r.Addrs, Master: r.Master, Username: r.Username, Password: r.Password.Reveal(), DB: r.DB, TLS: t,
		Dial: p.dial, Observe: observeRedis(p.metrics.Store(r.Name), s.pulse)}); err != nil {
		return nil, err
	}
	p.stores = append(p.stores, s)
	return s, nil
}

// keep closes the stores that are not in use any more.
func (p *pool) keep(used func(*store) bool) error {
	var errs []error
	p.stores = slices.DeleteFunc(p.stores, func(s *store) bool {
		if used(s) {
			return false
		}
		errs = append(errs, s.Close())
		return true
	})
	return errors.Join(errs...)
}

// digestOf tells the contents of certificates and keys, which a new one may have replaced under the same name.
func digestOf(list ...*config.TLS) string {
	h := sha256.New()
	for _, t := range list {
		if t == nil {
			continue
		}
		for _, name := range []string{t.CAFile, t.CertFile, t.KeyFile} {
			text, _ := os.ReadFile(name) //nolint:errcheck // whoever uses the file says what is wrong with it
			_, _ = fmt.Fprintf(h, "%d:%s", len(text), text)
		}
	}
	return string(h.Sum(nil))
}

// filesOf is the digest of all certificates and keys of a pipeline.
func filesOf(p *config.Pipeline) string {
	list := []*config.TLS{p.Source.Kafka.TLS, p.DLQ.Kafka.TLS}
	for _, s := range p.Sinks {
		list = append(list, s.Kafka.TLS)
	}
	for _, r := range storesOf(p) {
		list = append(list, r.TLS)
	}
	for _, use := range usesOf(p.Steps) {
		if use.Plugin.KV != nil {
			list = append(list, use.Plugin.KV.Store.TLS)
		}
	}
	return digestOf(list...)
}

// insecure counts the clusters and stores of a pipeline whose certificate is not checked.
func (b *builder) insecure() (n int) {
	clusters := map[*config.Kafka]bool{b.cfg.Source.Kafka: true}
	for _, s := range b.sinks() {
		clusters[s.Kafka] = true
	}
	for k := range clusters {
		if k.TLS != nil && k.TLS.InsecureSkipVerify {
			n++
		}
	}
	stores := map[*store]bool{}
	for _, s := range b.redis() {
		stores[s] = true
	}
	for s := range stores {
		if s.cfg.TLS != nil && s.cfg.TLS.InsecureSkipVerify {
			n++
		}
	}
	return n
}

// storesOf returns where the steps of a pipeline keep their state.
func storesOf(p *config.Pipeline) (list []*config.Redis) {
	for i := range p.Steps {
		var r *config.Redis
		switch st := &p.Steps[i]; {
		case st.Dedup != nil:
			r = st.Dedup.Store
		case st.Reorder != nil && st.Reorder.Sequence != "":
			r = st.Reorder.Store
		}
		if r != nil && !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	return list
}

// inspect looks at the settings on which the safety of a pipeline's state depends. Warnings are for people; an error says why
// the pipeline may not run like this. What does not answer has no settings.
func (b *builder) inspect(ctx context.Context) (warnings []string, err error) {
	for _, r := range storesOf(b.cfg) {
		cx, cancel := context.WithTimeout(ctx, storeCheck)
		report, failed := b.stores[r].Check(cx)
		cancel()
		if failed != nil {
			continue // it is waited for, or told as away
		}
		for _, w := range report.Warnings {
			warnings = append(warnings, fmt.Sprintf("redis %s: %s", r.Name, w))
		}
		if b.cfg.ExactlyOnce && report.Evicts() {
			return warnings, fmt.Errorf("redis %s: maxmemory-policy is %s, and delivery is exactly_once: Redis may evict what duplicates are known by; set noeviction", r.Name, report.MaxmemoryPolicy)
		}
	}
	return warnings, nil
}

// admit says what is unsafe about the stores of a pipeline before it starts, or refuses it.
func (r *running) admit(ctx context.Context) error {
	warnings, err := r.built.Load().inspect(ctx)
	for _, w := range warnings {
		r.log.Warn(w)
	}
	return err
}
