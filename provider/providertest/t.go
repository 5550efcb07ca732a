package providertest

import (
	"context"
	"testing"
)

// T is what a suite needs of a [testing.T]. Programs that run a suite outside of go
// test implement it: Fatal and Fatalf end the goroutine that they're called in, and
// Run returns once its function has ended.
type T interface {
	Context() context.Context
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Helper()
	Logf(format string, args ...any)
	Run(name string, f func(T)) bool
}

// std is the T of go test.
type std struct{ *testing.T }

func (s std) Run(name string, f func(T)) bool {
	return s.T.Run(name, func(t *testing.T) { f(std{t}) })
}

// goTest is go test's own, for the functions of a fixture that want it.
func goTest(t T) *testing.T { return t.(std).T }
