// Package aimed aims at the two moments in which franz-go 1.22.2 lets a stale member commit, with processes on a real Kafka.
//
// B1: a member is stopped just before its JoinGroup leaves. Its membership expires, another member takes over, commits and
// leaves. On waking the first is told UNKNOWN_MEMBER_ID, keeps its assignment and positions without any callback, rejoins,
// and goes on where it was.
//
// B2: a member is stopped in a transaction, and another takes over. On waking, between the callback that tells it of the
// loss and the moment when its buffers are dropped, it goes on with what it had fetched.
//
// The subjects are the engine as it is; the engine built with the tag mutant_noguard, which must be caught where the guard
// is what protects it; and franz-go's own GroupTransactSession, which shows that the aim is good.
package aimed
