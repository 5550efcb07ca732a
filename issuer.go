package rota

import (
	"context"
	"time"
)

// Issuer is the system where a credential is created, tested and retired, and
// where it's valid. An Issuer is bound to one secret: one IAM user, one database
// role or pair of roles.
//
// All methods must be safe to call concurrently, honor the context's deadline,
// be idempotent unless they say otherwise, and return errors that [ClassOf] can
// classify and that contain no secret's value.
type Issuer interface {
	// Traits returns the issuer's properties. They never change.
	Traits() Traits

	// CredentialID returns the issuer's public name for a credential, such as
	// an access key's id or a role's name, or "" if the credential lacks the
	// field. It may be logged.
	CredentialID(c Credential) string

	// Create creates a new credential. If the issuer chooses the value
	// ([Traits].IssuerChooses), Create calls the outside system and isn't
	// idempotent, so the implementation must never retry it: after any error,
	// the caller uses [Lister] to find out what happened. If Rota chooses the
	// value, Create only generates it and changes nothing outside.
	Create(ctx context.Context, r CreateRequest) (Credential, error)

	// Set makes the credential valid at the issuer. It's a no-op if the issuer
	// chose the value. If the issuer's rules reject the value, Set returns an
	// error of class [ClassRegenerate].
	Set(ctx context.Context, r SetRequest) error

	// Test logs in with the credential, once. It returns [ErrRefused] if the
	// issuer rejects the credential, and any other error if it can't tell
	// (timeout, no connection).
	Test(ctx context.Context, r TestRequest) error

	// Delete removes a credential for good. Deleting one that's already gone
	// isn't an error, so [ErrNotFound] is about something else, such as the account,
	// and the credential counts as still there. Deleting one that's still active is [ErrConflict] if the
	// issuer implements [Deactivator] and distinguishes active from inactive.
	Delete(ctx context.Context, r RetireRequest) error
}

// Traits are the properties of an issuer that the planner needs.
type Traits struct {
	// Kind is what people call this kind of credential: "IAM access key",
	// "PostgreSQL password".
	Kind string `json:"kind"`
	// IssuerChooses means that the issuer chooses the value and returns it only
	// once, at creation.
	IssuerChooses bool `json:"issuer_chooses"`
	// Limit is how many credentials, active or inactive, can exist at once.
	// With 1 there is no overlap: setting the new one invalidates the old one.
	// 0 means no limit.
	Limit int `json:"limit"`
	// TestSuccesses is how many logins in a row prove that a new credential
	// works. Defaults to 3.
	TestSuccesses int `json:"test_successes"`
	// ConsistencyDelay is how long after a call of unknown outcome the
	// issuer's list can be trusted to show what it did. Defaults to 0.
	ConsistencyDelay time.Duration `json:"settle"`
	// Lifetime is the longest that a credential lasts. It expires at the time
	// in its field [FieldExpiration] and can't be deactivated or deleted before
	// that, so the issuer's Delete is a no-op unless it's Revocable. 0 means that
	// credentials last until they're deleted.
	Lifetime time.Duration `json:"lifetime,omitzero"`
	// Revocable means that Delete ends a credential with a Lifetime before it expires.
	// It's asked to if the credential was given up before it was in use, or if a
	// person wants the previous one gone.
	Revocable bool `json:"revocable,omitempty"`
	// Renewable means that a credential with a Lifetime ends before that unless it's
	// renewed ([Renewer]), as Vault's leases do. Rota keeps it alive until its Lifetime is
	// over. If the issuer doesn't extend it that far, it's rotated before it ends.
	Renewable bool `json:"renewable,omitempty"`
	// EndsAfter is how long a credential lasts at most if it ends by itself and, unlike
	// one with a Lifetime, can be retired before; 0 if it doesn't end, or if nobody knows
	// before it's made. [Issued].ExpiresAt says when each one ends.
	EndsAfter time.Duration `json:"ends_after,omitzero"`
	// ListsByValue means that the issuer stores a salted hash of a credential and no
	// name for it, so that List can only tell which credential it lists if
	// CredentialID was called with it before, in the same process.
	ListsByValue bool `json:"lists_by_value,omitempty"`
	// FromCurrent means that the issuer needs the credential in use: Create, Set,
	// Delete, Deactivate and Reactivate are then given it.
	FromCurrent bool `json:"from_current,omitempty"`
	// Replaces means that creating a credential ends the one in use, which nothing can
	// bring back. The issuer chooses the value, and Limit is 1.
	Replaces bool `json:"replaces,omitempty"`
	// Readable means that the issuer chooses the value and shows the one in force
	// whenever it's asked: [Teller] compares with that, and Create, which is given
	// the current credential (FromCurrent), returns it if it isn't the current one,
	// and makes a new one only otherwise. So an answer that was lost is found again,
	// and what was made outside Rota is delivered instead of being held as drift. What it
	// replaced can't be put back.
	Readable bool `json:"readable,omitempty"`
	// Manual means that only a person can rotate the credential. Rota sends
	// reminders.
	Manual bool `json:"manual,omitempty"`
}

// Overlap reports whether the previous credential stays valid alongside the
// current one.
func (t Traits) Overlap() bool { return t.Limit != 1 }

// CreateRequest is the input of [Issuer].Create.
type CreateRequest struct {
	// Version is the id of the version that the credential is for. An issuer that
	// chooses the value and lets a credential have a name puts the id into it, and
	// returns it as [Issued].Mark.
	Version string
	// Taken lists the ids of the credentials that the issuer has or, if it can't
	// list them, of those in the store's versions. An issuer with a fixed set of
	// names picks one that isn't taken.
	Taken []string
	// Current is the credential in use if the issuer's [Traits] ask for it and
	// there's one.
	Current Credential
	// CurrentSince is when the store got Current: an issuer that's [Traits].Readable
	// and shows one from before then has gone back in time, as after the restore of a
	// backup, and that one isn't in force.
	CurrentSince time.Time
	// Replaces is the id of the credential that the new one takes the place of, if
	// the issuer's [Traits] say so: the current one, or one whose value was lost with
	// an answer. "" if there's none. Create must change no other.
	Replaces string
	// Anew means that a person asked for a new value. An issuer that shows the one in
	// force ([Traits].Readable) then makes another one, even if that isn't the current
	// one anymore: it may be the one that leaked.
	Anew bool
}

// SetRequest names the credential to make valid.
type SetRequest struct {
	Credential Credential
	// Current is the credential that was valid until now if the issuer's [Traits] ask
	// for it and there's one. When a credential is put back, that's the new one.
	Current Credential
}

// TestRequest names the credential to log in with.
type TestRequest struct{ Credential Credential }

// RetireRequest names a credential by the issuer's id for it.
type RetireRequest struct {
	CredentialID string
	// Current is the credential in use if the issuer's [Traits] ask for it and there's
	// one.
	Current Credential
}

// Issued is one credential as the issuer lists it.
type Issued struct {
	ID        string    `json:"id"`
	Active    bool      `json:"active"`
	CreatedAt time.Time `json:"created_at,omitzero"` // zero if the issuer doesn't say
	// ExpiresAt is when the credential ends by itself, zero if it doesn't. Its
	// rotation is due before that, whatever the policy says.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// EndsWithAccount means that ExpiresAt is the account's end, such as a role's VALID
	// UNTIL: a new credential ends then too, so it isn't rotated for that.
	EndsWithAccount bool `json:"ends_with_account,omitempty"`
	// Mark is the version that the credential was created for, from its name; "" if
	// the name doesn't say. It tells what became of a call whose answer was lost, and
	// which credential was made by a request that arrived twice.
	Mark string `json:"mark,omitempty"`
	Use  Use    `json:"use,omitzero"`
	// Unlock is how a person ends the lock that somebody put on the account as a
	// whole, such as a statement; "" if there's no lock. Rota never ends one: it
	// gives a locked account no new credential.
	Unlock string `json:"unlock,omitempty"`
}

// Lister is implemented by issuers that can list what they issued.
type Lister interface {
	// List returns every credential that exists for the user or role, whoever
	// created it. It may lag behind by [Traits].ConsistencyDelay. Use is left empty.
	List(ctx context.Context) ([]Issued, error)
}

// Locker is implemented by issuers that can't always see whether a locked account
// has a credential, so that their list leaves it out.
type Locker interface {
	// Locked returns [Issued].Unlock for the account of a credential, "" if it isn't
	// locked or doesn't exist. It may also be an account without a credential.
	Locked(ctx context.Context, credentialID string) (unlock string, err error)
}

// Evidence is how much an issuer knows about a credential's use.
type Evidence string

// The kinds of evidence, from none to good. The zero value means "don't know",
// which counts as in use.
const (
	// EvidenceUnknown means that the issuer can't tell, which counts as in use.
	EvidenceUnknown Evidence = ""
	// EvidenceSampled means that the issuer only knows whether the credential
	// is in use right now, so Rota samples it several times over the policy's
	// quiet time.
	EvidenceSampled Evidence = "sampled"
	// EvidenceRecorded means that the issuer records the last use.
	EvidenceRecorded Evidence = "recorded"
)

// Use is an issuer's report on the use of a credential.
type Use struct {
	Evidence Evidence  `json:"evidence,omitempty"`
	At       time.Time `json:"at,omitzero"`      // last use; zero means never seen
	Detail   string    `json:"detail,omitempty"` // such as "s3 in eu-central-1"
	// Ambiguous means that the issuer can't tell this credential's use from that of
	// others, such as of one user's several passwords. While any of them is used,
	// only a person can have this one retired.
	Ambiguous bool `json:"ambiguous,omitempty"`
	// Remedies are what a person can do to make the use known.
	Remedies []Remedy `json:"remedies,omitempty"`
}

// LatestUse returns the latest time that a credential may have been used, for a system
// that notes uses only every so often: one in constant use would look unused for that
// long. It's zero if the system noted none, and never later than now.
func LatestUse(noted time.Time, every time.Duration, now time.Time) time.Time {
	switch latest := noted.Add(every); {
	case noted.IsZero() || noted.After(now):
		return noted
	case latest.After(now):
		return now
	default:
		return latest
	}
}

// UseReporter is implemented by issuers that can say when a credential was
// last used. Without it, only a person can have an active credential retired.
type UseReporter interface {
	// LastUsed reports when one credential was last used. An error counts as
	// "in use".
	LastUsed(ctx context.Context, credentialID string) (Use, error)
}

// Teller is implemented by issuers that can tell whether a credential is in
// force without logging in.
type Teller interface {
	// InForce reports whether this is the issuer's credential for the user or
	// role; known is false if it can't tell.
	InForce(ctx context.Context, c Credential) (inForce, known bool, err error)
}

// Namer is implemented by issuers whose credentials have fixed names, such as the
// roles of a database, so that a plan can name the next one.
type Namer interface {
	// Names returns the issuer's ids of all credentials that it can have.
	Names() []string
}

// Completer is implemented by issuers whose credentials have fields that a person
// doesn't have to supply, such as a database's host or a lone role's name.
type Completer interface {
	// Complete adds the fields that c lacks and changes none that it has.
	Complete(c Credential) Credential
}

// Deactivator is implemented by issuers whose credentials can be deactivated
// and reactivated. Without it, the previous credential stays active until it's
// deleted, for which the issuer must report that it's unused, or a person ask.
type Deactivator interface {
	// Deactivate makes logins with the credential fail. Deactivating one that's
	// already inactive isn't an error; if it's gone, that's [ErrNotFound].
	Deactivate(ctx context.Context, r RetireRequest) error
	// Reactivate undoes Deactivate. If the credential is gone, it returns
	// [ErrNotFound].
	Reactivate(ctx context.Context, r RetireRequest) error
}

// Renewer is implemented by issuers whose credentials end soon unless they're renewed
// ([Traits].Renewable).
type Renewer interface {
	// Renew extends a credential's life and returns when it ends now. With an error, that's
	// when it ends without this renewal, zero if the issuer can't say. A credential that
	// has ended is [ErrNotFound]: nothing brings it back.
	Renew(ctx context.Context, r RenewRequest) (until time.Time, err error)
}

// RenewRequest names the credential to renew by the issuer's id for it.
type RenewRequest struct {
	CredentialID string
	// Until is when the credential is meant to end. The issuer must not extend it beyond
	// that, and can extend it less far.
	Until time.Time
	// Final means that it isn't renewed again after this, though a consumer may still
	// have it, so the issuer should extend it until then at once if it can.
	Final bool
}

// Finding is the result of one preflight check.
type Finding struct {
	OK      bool   `json:"ok"`
	Warning bool   `json:"warning,omitempty"` // not OK, but nothing fails because of it
	Check   string `json:"check"`             // what was checked: "list access keys of user ci"
	Detail  string `json:"detail,omitempty"`  // what was found
	// Remedies are what a person can do about it.
	Remedies []Remedy `json:"remedies,omitempty"`
}

// Preflighter is implemented by issuers, stores, checks, targets, reloaders and
// notifiers that can tell, without changing anything, whether a rotation would
// succeed.
type Preflighter interface {
	// Preflight returns one finding per check, and always at least one.
	Preflight(ctx context.Context) []Finding
}
