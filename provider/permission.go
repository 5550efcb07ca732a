package provider

import (
	"context"
	"slices"
)

// Permission is something a system must allow a login to do, in the system's
// own words, and why.
type Permission struct {
	// Action is what must be allowed: "iam:CreateAccessKey", "CREATEROLE".
	Action string
	// Resource is what it must be allowed on: an ARN, "role orders". "" if it's
	// the system as a whole.
	Resource string
	// Only narrows it down, in words that go on after "only where"; "" for
	// nothing.
	Only string
	// Why is a line for people, in words that go on after "Rota".
	Why string
	// For is when it's needed. The zero value is every rotation.
	For Occasion
	// Holder is who needs it, in words, if that isn't Rota. A permission with a
	// holder is in no document.
	Holder string
	// Detail is what the system's document says beyond that; only [Policy]'s own
	// functions look at it.
	Detail any
}

// Occasion is when a permission is needed.
type Occasion string

// The occasions.
const (
	OccasionRotate Occasion = ""       // every rotation
	OccasionCreate Occasion = "create" // the first rotation, of what doesn't exist yet
	OccasionCheck  Occasion = "check"  // rota check alone
	OccasionOption Occasion = "option" // Rota works without it, but not as well
)

// Permitter is implemented by what a kind's constructor returns if its system
// must allow something, and can express that. [Grants] asks it.
type Permitter interface {
	// Permissions are what the login of the kind's connection needs. It calls
	// nothing outside.
	Permissions() []Permission
}

// Grant is what one login must be allowed.
type Grant struct {
	// Name is the connection's, or that of another login in the system's words.
	Name string
	// Title is for people: "connection app-db, role rota_admin".
	Title       string
	Permissions []Permission
}

// Policy says what Rota must be allowed over a kind of connection. It becomes
// the command rota policy KEY, which prints a document that the system
// understands.
type Policy struct {
	// Summary is one line about the command, without a full stop; Help is more,
	// wrapped at 80 columns.
	Summary, Help string
	// Format is the document's: "json", "sql". It's the default of --output.
	Format string
	// Options are flags of the command, beyond those that all have. Validate, if
	// there is one, checks their values before anything else happens.
	Options  []Option
	Validate func() error
	// Grants gathers what each login needs. Defaults to [Grants].
	Grants func(ctx context.Context, r PolicyRequest) ([]Grant, error)
	// Document writes the grants down, ending with a newline. note says what's
	// noteworthy about it.
	Document func(grants []Grant, note func(error)) ([]byte, error)
}

// PolicyRequest is what a policy is made for.
type PolicyRequest struct {
	// Connections are the names of the connections it's about, sorted.
	Connections []string
	// Pieces are what works over them, in the file's order.
	Pieces []Piece
	// Note tells the user something about the result.
	Note func(error)
}

// Piece is what a provider made of one of a secret's kinds: an issuer, a store,
// a check, a target, a reloader, a notifier or an archive.
type Piece struct {
	// Secret is the secret's name, "" for the server's own.
	Secret string
	// Connections are the names of those it logs in with, sorted.
	Connections []string
	// Made is what the kind's constructor returned.
	Made any
}

// Option is a flag of a provider's command.
type Option struct {
	// Name is the flag's, without the dashes. Usage describes it, with the
	// value's name in backquotes.
	Name, Usage string
	// Value is where the value goes: a *string, a *bool or a *[]string. What's
	// in it is the default.
	Value any
	// Example stands in for the value where nothing may be asked, as in rota
	// providers; "" for none. Only a *string has one.
	Example string
}

// Grants asks each piece that is a [Permitter], connection by connection.
func Grants(_ context.Context, r PolicyRequest) ([]Grant, error) {
	var grants []Grant
	for _, name := range r.Connections {
		g := Grant{Name: name, Title: "connection " + name}
		for _, p := range r.Pieces {
			if permitter, ok := p.Made.(Permitter); ok && slices.Contains(p.Connections, name) {
				g.Permissions = append(g.Permissions, permitter.Permissions()...)
			}
		}
		if len(g.Permissions) > 0 {
			grants = append(grants, g)
		}
	}
	return grants, nil
}
