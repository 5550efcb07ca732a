package provider

import (
	"context"
	"time"

	"github.com/rota-dev/rota"
)

// Discovery lists the credentials that exist in a system, whether rota.yaml
// manages them or not. It becomes the command rota discover KEY, for a kind of
// connection.
type Discovery struct {
	// Summary is one line about the command, without a full stop; Help is more,
	// wrapped at 80 columns.
	Summary, Help string
	// Options are flags of the command, beyond those that all have. Validate, if
	// there is one, checks their values before anything else happens.
	Options  []Option
	Validate func() error
	// Elsewhere reports whether the options say where to look, so that
	// rota.yaml isn't read. nil means that they never do.
	Elsewhere func() bool
	// Discover looks, and changes nothing. An error means that nothing was
	// found out; what could only be found out in part is among the problems.
	Discover func(ctx context.Context, r DiscoveryRequest) (Discovered, error)
}

// DiscoveryRequest is what there is to look at.
type DiscoveryRequest struct {
	Now time.Time
	// File is rota.yaml; nil if there is none, or it wasn't read.
	File *DiscoveryFile
}

// DiscoveryFile is what a rota.yaml says that concerns a discovery.
type DiscoveryFile struct {
	Path string
	// Connections are those to look at, opened as their kind does it and sorted
	// by name. Failed are those that couldn't be opened.
	Connections []any
	Failed      map[string]error
	// Secrets are the names of all secrets of the file.
	Secrets []string
	// Pieces are all that works over connections of the kind. What can't be
	// made is left out.
	Pieces func() []Piece
	// Written are the keys of a connection whose values are texts, as the file
	// writes them, references included.
	Written func(connection string) map[string]string
}

// Discovered is what was found.
type Discovered struct {
	// Document is printed with --output json. Its field names never change.
	Document any
	// Header and Rows are the table; Summary are lines below it.
	Header  []string
	Rows    [][]Words
	Summary []Words
	// CSV is the same for spreadsheets, with its header.
	CSV [][]string
	// Problems are what couldn't be found out.
	Problems []error
	// Proposal is what --write writes.
	Proposal Proposal
}

// Words are a text, how it stands out on a terminal, and what a person can do
// about what it says.
type Words struct {
	Text     string
	Mark     Mark
	Remedies []rota.Remedy
}

// Mark is how a text stands out.
type Mark int

// The marks.
const (
	MarkNone   Mark = iota
	MarkStrong      // a heading
	MarkAlarm       // something that needs attention
)

// Proposal is a rota.yaml for what isn't managed yet.
type Proposal struct {
	// Connections are those that the secrets use, with their keys.
	Connections []ProposedConnection
	// Policy are the keys of defaults.policy.
	Policy  []ProposedKey
	Secrets []ProposedSecret
	// LeftOut says what is in no secret and why; nil for nothing.
	LeftOut error
}

// ProposedConnection is a connection of the discovery's kind.
type ProposedConnection struct {
	Name string
	Keys []ProposedKey
}

// ProposedSecret is a secret, with lines of comment above it.
type ProposedSecret struct {
	Name    string
	Comment []string
	Issuer  ProposedPart
	Store   ProposedPart // zero for Rota's own store
}

// ProposedPart is an issuer or a store.
type ProposedPart struct {
	Connection, Kind string
	Keys             []ProposedKey
}

// ProposedKey is a key of rota.yaml with its value: a string, or []ProposedKey.
type ProposedKey struct {
	Key   string
	Value any
}
