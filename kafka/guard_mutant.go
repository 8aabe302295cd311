//go:build mutant_noguard

package kafka

const guarded = false
