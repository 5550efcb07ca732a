package config

// Secret is one credential that Rota rotates.
type Secret struct {
	At     Pos       `json:"-"`
	Name   Name      `json:"name" jsonschema:"The secret's name: letters, digits and / _ + = . @ -"`
	Owner  Plain     `json:"owner,omitzero" jsonschema:"Who acts when no program can: a name or an address."`
	Issuer Issuer    `json:"issuer" jsonschema:"Where the credential is valid and gets created."`
	Store  *Store    `json:"store,omitzero" jsonschema:"Where to keep the credential. Defaults to Rota's own store."`
	Test   Checks    `json:"test,omitzero" jsonschema:"Your own test of a new credential, or a list of them."`
	Target []*Target `json:"targets,omitzero" jsonschema:"Where to deliver copies of the current credential."`
	Reload []*Reload `json:"reload,omitzero" jsonschema:"What makes consumers pick up the new credential, in this order."`
	Notify []Notice  `json:"notify,omitzero" jsonschema:"The connections to notify of events, instead of the defaults."`
	Policy *Policy   `json:"policy,omitzero" jsonschema:"When to rotate it. Merged over the defaults, key by key."`
	Advice Plain     `json:"advice,omitzero" enum:"on,off" jsonschema:"Whether rota check suggests how the targets could do without a key. Defaults to on."`
}

// Issuer is the system that issues the credential and accepts it.
type Issuer struct {
	At         Pos    `json:"-"`
	Connection Plain  `json:"connection,omitzero" jsonschema:"The connection to log in with."`
	Kind       Choice `json:"-" kinds:"issuer"`
}

// Store is where the credential's versions are kept.
type Store struct {
	At         Pos    `json:"-"`
	Connection Plain  `json:"connection" jsonschema:"The connection to log in with."`
	Kind       Choice `json:"-" kinds:"store"`
}

// Check is a user-defined test of a new credential.
type Check struct {
	At   Pos    `json:"-"`
	Kind Choice `json:"-" kinds:"check"`
}

// Target is a place that receives a copy of the current credential.
type Target struct {
	At   Pos    `json:"-"`
	Name Plain  `json:"name" jsonschema:"A name of your choice, used in progress and logs."`
	Kind Choice `json:"-" kinds:"target"`
}

// Reload makes consumers pick up the new credential.
type Reload struct {
	At   Pos    `json:"-"`
	Name Plain  `json:"name" jsonschema:"A name of your choice, used in progress and logs."`
	Kind Choice `json:"-" kinds:"reloader"`
}
