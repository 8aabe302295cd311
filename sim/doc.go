// Package sim runs the engine as production builds it, through daemon.New, on virtual time: several instances against a
// Kafka and a Redis that live in the same bubble of testing/synctest, under kills, pauses, lost replies, rollbacks and
// errors at places that a seed chooses. Package judge then decides, from the outside, whether every promise was kept.
//
// A seed fixes what is sent and which faults are aimed where, but not how goroutines interleave: a run that failed may
// pass the next time. So a failing run writes everything it knows to a file.
package sim
