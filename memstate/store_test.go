package memstate_test

import (
	"testing"

	"github.com/streamproc/streamproc/internal/statetest"
	"github.com/streamproc/streamproc/memstate"
)

type backend struct{ *memstate.Store }

func (b backend) Space(pipeline, step string) statetest.Space { return b.Store.Space(pipeline, step) }

func TestStorePassesTheSuite(t *testing.T) { statetest.Run(t, backend{memstate.New()}) }
