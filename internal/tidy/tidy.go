// Package tidy holds the laws of the house as tests: who may import whom, where each library enters, and how large things
// may be. Each failure names the rule and the remedy.
package tidy
