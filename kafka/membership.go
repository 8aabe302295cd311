package kafka

import (
	"errors"
	"fmt"
	"sync"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kgo"
)

// errRefused: the guard does not let this commit pass, because the records were polled in another membership.
var errRefused = errors.New("commit refused by the membership guard")

// stamp says in which membership, and by which assignment in it, a partition is owned.
type stamp struct {
	member     string
	assignment int
}

// membership is guard G5: one client, one membership. franz-go keeps assignment and buffers when its membership expires
// while a JoinGroup is under way, and rejoins under a new member id without calling lost or revoked; work polled before
// would then be committed over that of the interim owner. So each partition carries the stamp of its assignment, and a
// commit passes only with the stamps that its records were polled under. Fed by the callbacks of one client; safe for
// concurrent use.
type membership struct {
	mu          sync.Mutex
	own         map[stream.Partition]stamp
	assignments int
	member      string
	dead        error
	revoking    chan stream.Revocation
}

func newMembership() *membership {
	return &membership{own: map[stream.Partition]stamp{}, revoking: make(chan stream.Revocation, 1)}
}

func (m *membership) assigned(cl *kgo.Client, topics map[string][]int32) {
	id, _ := cl.GroupMetadata()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.assignments++
	if m.member != "" && m.member != id {
		m.dead = errors.New("assigned under another member id")
	}
	m.member = id
	for topic, ps := range topics {
		for _, p := range ps {
			m.own[stream.Partition{Topic: topic, ID: p}] = stamp{id, m.assignments}
		}
	}
}

// drop ends the ownership of partitions; dead, if not nil, ends the membership, if nothing has before.
func (m *membership) drop(topics map[string][]int32, dead error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.assignments++
	for topic, ps := range topics {
		for _, p := range ps {
			delete(m.own, stream.Partition{Topic: topic, ID: p})
		}
	}
	if dead != nil && m.dead == nil {
		m.dead = dead
	}
}

func (m *membership) stamp(p stream.Partition) (stamp, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.own[p]
	return s, ok
}

func (m *membership) alive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !guarded {
		return nil
	}
	return m.dead
}

// verify refuses a commit by member whose partitions are no longer owned as they were when polled.
func (m *membership) verify(member string, polled map[stream.Partition]stamp) error {
	if !guarded {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead != nil {
		return fmt.Errorf("%w: %w", errRefused, m.dead)
	}
	for p, s := range polled {
		switch now, ok := m.own[p]; {
		case !ok:
			return fmt.Errorf("%w: %v is no longer owned", errRefused, p)
		case now != s:
			return fmt.Errorf("%w: %v is assigned to another membership", errRefused, p)
		case now.member != member:
			return fmt.Errorf("%w: %v was polled as member %s and would be committed as %s", errRefused, p, s.member, member)
		}
	}
	return nil
}
