//go:build !mutant_noguard

package kafka

// guarded is false only in a build that shows what happens without the guard (chaos/aimed).
const guarded = true
