package provider

import (
	"cmp"
	"context"

	"github.com/rota-dev/rota"
)

// Provider is one outside system and every role it plays. Each provider
// package exports one function that returns it:
//
//	func Provider() provider.Provider
type Provider struct {
	// Name is the package's, in lower case: "aws", "postgres".
	Name string
	// System is the outside system as people call it: "PostgreSQL".
	System string
	// Doc is the provider's page below docs/providers, without its extension.
	// Defaults to Name.
	Doc string
	// Example is a whole rota.yaml that uses the provider: the shortest that
	// shows what it's for. rota providers and its page show it.
	Example string

	Connections []Connection
	Issuers     []Issuer
	Stores      []Store
	Checks      []Check
	Targets     []Target
	Reloaders   []Reloader
	Notifiers   []Notifier
	Archives    []Archive
	// Conversions rewrite files of other tools. They're made anew for each use.
	Conversions []func() Conversion
}

// Page is the provider's page below docs/providers, without its extension.
func (p Provider) Page() string { return cmp.Or(p.Doc, p.Name) }

// Kind is what every kind has, whatever its role.
type Kind struct {
	// Key is the kind's key in rota.yaml, unique among the kinds of its role.
	// Connections and notifiers share their keys: both stand below connections.
	Key string
	// Summary is one line for people, ending with a full stop. It is also the
	// description in the JSON Schema.
	Summary string
	// Example is what stands after the key in rota.yaml, in flow style:
	// {user: ci}.
	Example string
	// Remote means that the kind reaches nothing of the machine that Rota runs on, except
	// through fields tagged host: no file, program, environment or identity of its own.
	// People who may not use the machine, such as the users of a cluster's namespace, can
	// name only such kinds, and kinds that work over a connection granted to them.
	Remote bool
}

// Connection is a kind of connection: how to log in to a system.
type Connection struct {
	Kind
	// New makes an empty configuration: a pointer to a struct whose fields are
	// tagged as package documentation says.
	New func() ConnectionConfig
	// NamespaceKey is the key of the Kubernetes namespace in each kind that works over
	// such connections; "" if that's not what they reach. The RotatingSecrets of a
	// namespace reach that one alone.
	NamespaceKey string
	// Policy says what Rota must be allowed over such connections, where the
	// system can express that. It's made anew for each use; nil for none.
	Policy func() Policy
	// Discovery lists the credentials that exist over such connections. It's
	// made anew for each use; nil for none.
	Discovery func() Discovery
}

// ConnectionConfig is a connection's part of rota.yaml. It may also be a
// [Validator] and a [Scoper].
type ConnectionConfig interface {
	// Open makes the connection without touching the network. What it returns
	// is what [Open] gives to the kinds that use the connection; if it has a
	// method Close() or Close() error, that's called at the end. It may also
	// be an [Identifier].
	Open(b *Build) (any, error)
}

// Issuer is a kind of issuer.
type Issuer struct {
	Kind
	// Connection is the kind of connection it needs; "" for none.
	Connection string
	// Evidence is what it can say about a credential's use.
	Evidence rota.Evidence
	// Reversible means that a credential can be deactivated and reactivated.
	Reversible bool
	// Varies says which of its traits depend on its configuration, for people:
	// "a session lives as long as duration says". "" for none.
	Varies string
	New    func() IssuerConfig
}

// IssuerConfig is an issuer's part of rota.yaml. It may also be a [Validator]
// and a [Claimer].
type IssuerConfig interface {
	// Traits are those of the issuer, as far as its configuration says: at
	// least Kind, Limit, Lifetime and Manual are those of the issuer it builds.
	Traits() rota.Traits
	// Fields are those of its credentials.
	Fields() Fields
	Issuer(b *Build) (rota.Issuer, error)
}

// Fields are the names of a credential's fields.
type Fields struct {
	// All are those that every credential has once it is complete.
	All []string
	// Login are those that a login takes. A store must keep them, and adopting
	// a credential asks for them.
	Login []string
}

// Store is a kind of store.
type Store struct {
	Kind
	// Connection is the kind of connection it needs.
	Connection string
	New        func() StoreConfig
}

// StoreConfig is a store's part of rota.yaml. It may also be a [Validator] and
// a [Claimer], and limit how often a new version may come ([Pacer]).
type StoreConfig interface {
	Store(b *Build) (rota.Store, error)
}

// Check is a kind of check: the user's own test of a new credential. It uses
// the connection of the secret's issuer.
type Check struct {
	Kind
	// Connection is the kind of connection that the issuer must have.
	Connection string
	// Needs is the credential that it tests, for people: "a database password".
	Needs string
	New   func() CheckConfig
}

// CheckConfig is a check's part of rota.yaml. It may also be a [Validator].
type CheckConfig interface {
	Check(b *Build) (rota.Check, error)
}

// Target is a kind of target.
type Target struct {
	Kind
	// Platform is where the programs run that read it.
	Platform Platform
	New      func() TargetConfig
}

// TargetConfig is a target's part of rota.yaml. It may also be a [Validator]
// and a [Claimer]. The connection it uses is a field of type [ConnectionName].
type TargetConfig interface {
	Target(b *Build) (rota.Target, error)
}

// Platform is where the programs run that read a target. An issuer whose
// credentials such programs could do without gives advice by it.
type Platform string

// The platforms.
const (
	PlatformUnknown Platform = ""
	PlatformMachine Platform = "machine" // this one
	PlatformPods    Platform = "pods"    // of a cluster
	PlatformJobs    Platform = "jobs"    // of a CI server
)

// Reloader is a kind of reloader.
type Reloader struct {
	Kind
	New func() ReloaderConfig
}

// ReloaderConfig is a reloader's part of rota.yaml. It may also be a
// [Validator] and a [Claimer]. The connection it uses is a field of type
// [ConnectionName].
type ReloaderConfig interface {
	Reloader(b *Build) (rota.Reloader, error)
}

// Notifier is a kind of notifier. It stands below connections.
type Notifier struct {
	Kind
	New func() NotifierConfig
}

// NotifierConfig is a notifier's part of rota.yaml. It may also be a
// [Validator]. The connection it uses is a field of type [ConnectionName].
type NotifierConfig interface {
	Notifier(b *Build) (rota.Notifier, error)
}

// Archive is a kind of place for small files that are added and never changed,
// such as the signed heads of the audit.
type Archive struct {
	Kind
	New func() ArchiveConfig
}

// ArchiveConfig is an archive's part of rota.yaml. It may also be a
// [Validator]. The connection it uses is a field of type [ConnectionName].
type ArchiveConfig interface {
	Archive(b *Build) (Objects, error)
}

// Objects keeps small files by their names.
type Objects interface {
	// Name is for people, such as "s3 heads/rota-audit/".
	Name() string
	// Put keeps a file, durably. Putting the same again is no error.
	Put(ctx context.Context, name string, content []byte) error
	// List gives what there is for Get, sorted by name. That includes what was
	// replaced or deleted since, if the system keeps it.
	List(ctx context.Context) ([]string, error)
	Get(ctx context.Context, listed string) ([]byte, error)
}
