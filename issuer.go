package rota

import (
	"context"
	"time"
)

// Issuer is where a credential is valid and is made, tested and retired. An
// Issuer is bound to one secret: one IAM user, one database role or pair.
//
// All methods may be called at the same time from several goroutines, honour
// the context's deadline, are idempotent unless they say otherwise, and return
// errors that [ClassOf] can classify and that hold no secret's value.
type Issuer interface {
	// Traits are the issuer's properties. They never change.
	Traits() Traits

	// CredentialID is the issuer's public name of a credential: an access
	// key's id, a role's name. It may be logged. "" where the credential
	// lacks the field.
	CredentialID(c Credential) string

	// Create makes a new credential. Where the issuer chooses the value
	// ([Traits].IssuerChooses) this calls the outside, is not idempotent and is
	// never retried by the implementation: after any error the caller finds
	// out with [Lister] what happened. Where Rota chooses it generates a value
	// and touches nothing outside.
	Create(ctx context.Context, r CreateRequest) (Credential, error)

	// Set makes the credential valid at the issuer. Nothing to do where the
	// issuer chose it. A value that the issuer's rules reject is an error of
	// class [ClassRegenerate].
	Set(ctx context.Context, r SetRequest) error

	// Test logs in with the credential, once. A credential that is refused is
	// [ErrRefused]; what can't be told (timeout, no connection) is any other
	// error.
	Test(ctx context.Context, r TestRequest) error

	// Delete removes a credential for good. A credential that is already gone
	// is no error. An active one is refused with [ErrConflict] where the
	// issuer knows the difference.
	Delete(ctx context.Context, r RetireRequest) error
}

// Traits are an issuer's properties, which the planner plans with.
type Traits struct {
	// Kind is what the issuer issues, in words for people: "IAM access key",
	// "PostgreSQL password".
	Kind string `json:"kind"`
	// IssuerChooses tells that the issuer chooses the value and answers it
	// once, at creation.
	IssuerChooses bool `json:"issuer_chooses"`
	// Limit is how many credentials, active or inactive, may exist at once.
	// With 1 there is no overlap: setting the new one kills the old one.
	// 0 means no limit.
	Limit int `json:"limit"`
	// TestSuccesses is how many logins in a row prove a new credential.
	// Defaults to 3.
	TestSuccesses int `json:"test_successes"`
	// Settle is how long after a call of unknown outcome the issuer's list
	// can be trusted to show what it did. Defaults to 0.
	ConsistencyDelay time.Duration `json:"settle"`
	// Lifetime is how long a credential lives at most: it ends by itself, at the
	// moment that its field [FieldExpiration] says, and can be neither switched
	// off nor deleted before. Its issuer's Delete does nothing. 0 where
	// credentials live until they are deleted.
	Lifetime time.Duration `json:"lifetime,omitzero"`
	// Manual tells that only a person can rotate it: Rota reminds.
	Manual bool `json:"manual,omitempty"`
}

// Overlap tells whether the previous credential stays valid beside the
// current one.
func (t Traits) Overlap() bool { return t.Limit != 1 }

// CreateRequest is what Create may need to know.
type CreateRequest struct {
	// Taken are the ids of the credentials that the store's versions hold. An
	// issuer with a fixed set of names takes another.
	Taken []string
}

// SetRequest names the credential to make valid.
type SetRequest struct{ Credential Credential }

// TestRequest names the credential to log in with.
type TestRequest struct{ Credential Credential }

// RetireRequest names a credential by the issuer's id for it.
type RetireRequest struct{ CredentialID string }

// Issued is one credential as the issuer lists it.
type Issued struct {
	ID        string    `json:"id"`
	Active    bool      `json:"active"`
	CreatedAt time.Time `json:"created_at,omitzero"` // zero where the issuer does not say
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero where it does not end by itself
	Use       Use       `json:"use,omitzero"`
}

// Lister is implemented by issuers that can list what they issued.
type Lister interface {
	// List gives every credential of the user or role that exists, whoever
	// made it. It may lag behind by [Traits].Settle. Use is left empty.
	List(ctx context.Context) ([]Issued, error)
}

// Evidence is the strength of what an issuer can say about use.
type Evidence string

// The kinds of evidence, from none to good. The zero value means "don't know",
// which counts as in use.
const (
	// Unknown: the issuer can't tell. Counts as in use.
	EvidenceUnknown Evidence = ""
	// Sampled: the issuer tells only whether it is in use right now. Several
	// looks over the policy's quiet time are needed.
	EvidenceSampled Evidence = "sampled"
	// Recorded: the issuer records the last use.
	EvidenceRecorded Evidence = "recorded"
)

// Use is what an issuer reports about the use of a credential.
type Use struct {
	Evidence Evidence  `json:"evidence,omitempty"`
	At       time.Time `json:"at,omitzero"`      // last use; zero means never seen
	Detail   string    `json:"detail,omitempty"` // such as "s3 in eu-central-1"
}

// UseReporter is implemented by issuers that can say when a credential was
// last used.
type UseReporter interface {
	// LastUsed reports on one credential. An error means "in use".
	LastUsed(ctx context.Context, credentialID string) (Use, error)
}

// Teller is implemented by issuers that can tell, without a login, whether a
// credential is the one in force.
type Teller interface {
	// InForce tells whether the issuer has this credential for its user or role;
	// known is false where it can't tell.
	InForce(ctx context.Context, c Credential) (inForce, known bool, err error)
}

// Completer is implemented by issuers whose credentials have fields that a person
// need not know, such as a database's host.
type Completer interface {
	// Complete adds the fields that a credential lacks, and changes none.
	Complete(c Credential) Credential
}

// Deactivator is implemented by issuers whose credentials can be switched off
// and on again.
type Deactivator interface {
	// Deactivate makes logins with the credential fail. One that is already
	// inactive is no error; one that is gone is [ErrNotFound].
	Deactivate(ctx context.Context, r RetireRequest) error
	// Reactivate undoes Deactivate. One that is gone is [ErrNotFound].
	Reactivate(ctx context.Context, r RetireRequest) error
}

// Finding is one line of a preflight check.
type Finding struct {
	OK      bool   `json:"ok"`
	Warning bool   `json:"warning,omitempty"` // not OK, but nothing fails because of it
	Check   string `json:"check"`             // what was looked at: "list access keys of user ci"
	Detail  string `json:"detail,omitempty"`  // what was found
	Hint    string `json:"hint,omitempty"`    // what to do about it
	// Remedies are what a person can do about it.
	Remedies []Remedy `json:"remedies,omitempty"`
}

// Preflighter is implemented by issuers, stores, checks, targets, reloaders and
// notifiers that can tell, without changing anything, whether a rotation would
// succeed.
type Preflighter interface {
	// Preflight gives one finding a check, and always at least one.
	Preflight(ctx context.Context) []Finding
}
