package daemon

import (
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/redisstate"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

var _ runtime.Lookups = (*redisstate.Lookup)(nil)

// lookup is what a plugin reads, and the Redis that it lies in. That is not asked to be fit for state: others write it.
type lookup struct {
	*redisstate.Lookup
	store *store
}

// lookup gives a plugin what its configuration says that it may read.
func (b *builder) lookup(s *runtime.Source, kv *config.KV) error {
	if kv == nil {
		return nil
	}
	store, err := b.pool.open(kv.Store)
	if err != nil {
		return err
	}
	l := lookup{store.Lookup(kv.Prefix), store}
	b.lookups[kv], s.Lookups = l, l
	if kv.Prefetch == "" {
		return nil
	}
	path, err := b.path(kv.Prefetch)
	if err != nil {
		return err
	}
	s.Prefetch = func(r *stream.Record) ([]byte, bool) {
		key, ok, err := path.Bytes(r)
		return key, ok && err == nil // the plugin says what is wrong with a record
	}
	return nil
}

// redis lists the stores of state and those that plugins read.
func (b *builder) redis() (list []*store) {
	for _, s := range b.stores {
		list = append(list, s)
	}
	for _, l := range b.lookups {
		list = append(list, l.store)
	}
	return list
}
