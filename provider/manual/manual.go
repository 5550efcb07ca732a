// Package manual is the issuer of what no program can rotate: a contract's
// password, a licence key, a certificate from a portal. Rota keeps the dates,
// reminds the owner, and notes who did it.
package manual

import (
	"context"
	"errors"

	"github.com/rota-dev/rota"
)

// Issuer stands for a person.
type Issuer struct {
	// What is rotated, in words for people. Defaults to "credential".
	What string
}

var _ rota.Issuer = Issuer{}

var errByPerson = &rota.Error{System: "manual", Class: rota.ClassStop, Err: errors.New("only a person can do this")}

// Traits says that only a person can rotate it.
func (i Issuer) Traits() rota.Traits {
	what := i.What
	if what == "" {
		what = "credential"
	}
	return rota.Traits{Kind: what, Limit: 1, Manual: true}
}

// CredentialID is none: Rota does not know the credential.
func (Issuer) CredentialID(rota.Credential) string { return "" }

// Create is refused.
func (Issuer) Create(context.Context, rota.CreateRequest) (rota.Credential, error) {
	return rota.Credential{}, errByPerson
}

// Set is refused.
func (Issuer) Set(context.Context, rota.SetRequest) error { return errByPerson }

// Test is refused.
func (Issuer) Test(context.Context, rota.TestRequest) error { return errByPerson }

// Delete is refused.
func (Issuer) Delete(context.Context, rota.RetireRequest) error { return errByPerson }

// Preflight has nothing to ask.
func (i Issuer) Preflight(context.Context) []rota.Finding {
	return []rota.Finding{{OK: true, Check: "rotated by a person", Detail: i.Traits().Kind}}
}
