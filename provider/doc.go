// Package provider is how a provider describes itself to Rota: what stands for
// it in rota.yaml, and what is made of that. It holds the descriptions and the
// leaf types that rota.yaml is made of. What a provider does is in package rota;
// which providers there are is the program's.
//
// # A provider
//
// A provider is one outside system and every role it plays. Its package exports
// one function:
//
//	// Provider describes what rota.yaml can name of Vend.
//	func Provider() provider.Provider {
//		return provider.Provider{
//			Name:   "vend",
//			System: "Vend",
//			Connections: []provider.Connection{{
//				Kind: provider.Kind{Key: "vend", Summary: "An account at Vend."},
//				New:  func() provider.ConnectionConfig { return new(connectionConfig) },
//			}},
//			Issuers: []provider.Issuer{{
//				Kind:       provider.Kind{Key: "vend_token", Summary: "The API token of a Vend application (connection: vend)."},
//				Connection: "vend",
//				Evidence:   rota.EvidenceRecorded,
//				New:        func() provider.IssuerConfig { return new(tokenConfig) },
//			}},
//		}
//	}
//
// It adds one line to a list: internal/providers for Rota's own, or the list
// that your own main passes to package app. There's nothing else to register.
//
// # A kind's configuration
//
// New returns a pointer to a struct that rota.yaml is decoded into. Its fields
// are leaves ([Text], [Plain], [Duration], [Int], [Bool], [Mode],
// [ConnectionName]), or structs, slices, arrays and maps of them:
//
//	type tokenConfig struct {
//		At    provider.Pos      `json:"-"`
//		App   provider.Text     `json:"app" jsonschema:"The application's name."`
//		Scope []provider.Plain  `json:"scope,omitzero" enum:"read,write" default:"read" jsonschema:"What the token may do."`
//		TTL   provider.Duration `json:"ttl,omitzero" default:"30d" jsonschema:"How long a token lives."`
//	}
//
// The json tag names the key; omitzero marks what may be left out. The
// jsonschema tag is the description, which the JSON Schema and the docs show.
// A field At, if there is one, is where the mapping stands. More tags:
//
//	default:"10s"  what applies if the key is left out, for people
//	enum:"a,b"     the texts that are taken
//	min, max       the numbers that are taken
//	empty:"true"   the text may be empty
//	secret:"true"  a literal value deserves a warning; rota policy does without it
//	secret:"half"  a part of a login that may be known: rota policy does without it
//	harmless:"a,b" those in a map with secret:"true" that deserve none, by their keys
//	public:"true"  anybody may know the value, and read the file it's in
//	kind:"vend"    of a ConnectionName: the kind of connection it must be
//	host:"true"    it reaches the machine that Rota runs on, such as a file's path
//	host:"path"    it does if it begins with / or @, as the path of a Unix socket
//
// A kind whose configuration is a single value embeds a leaf instead:
//
//	type queryConfig struct{ provider.Text }
//
// # Connections and secrets
//
// An issuer and a store name the kind of connection they need, and the user
// writes its name beside them. A check uses its secret's issuer's. A target, a
// reloader, a notifier and a connection itself name theirs with fields of type
// [ConnectionName]. From these fields, and from the ${secret:…} references in
// every [Text], Rota knows all that a secret talks to: which circuit breakers it
// waits for, which secrets must be rotated before it, whether it needs itself,
// and when an edited file concerns it. You list nothing.
//
// # Validation
//
// A configuration may be a [Validator]. It reports what's wrong by key, and
// Rota adds the path, the file and the line:
//
//	func (c *tokenConfig) Validate(v *provider.Validation) {
//		if c.TTL.IsSet() && c.TTL.Length < time.Hour {
//			v.Problem(c.TTL.At, "ttl", "1d", "Vend makes no token for less than an hour")
//		}
//	}
//
// # What it makes
//
// The constructor asks [Build] for the values of texts and for opened
// connections, and looks at Err once:
//
//	func (c *tokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
//		connection := provider.Open[*Connection](b, b.Connection)
//		app := b.Text(c.App)
//		if err := b.Err(); err != nil {
//			return nil, err
//		}
//		return connection.Tokens(app), nil
//	}
//
// Constructors call nothing outside. An issuer's configuration also says its
// Traits and Fields before anything is made; they may depend on its values, as
// the lifetime of a session does.
//
// # Permissions
//
// What a constructor returns may be a [Permitter]: it names the permissions that
// its connection's login needs, in the system's words, and why. The connection's
// kind then has a [Policy], which writes them down as the system expects:
//
//	rota policy vend
//
// A kind of connection over which existing credentials can be listed offers a
// [Discovery], and has the command rota discover vend.
//
// # Claims
//
// What may be changed for one secret only is claimed, in the outside world's
// terms, by a [Claimer]:
//
//	func (c *tokenConfig) Claims(k *provider.Known) []provider.Claim {
//		if app, ok := k.Claim("Vend application", c.App); ok {
//			return []provider.Claim{app}
//		}
//		return nil
//	}
//
// Two secrets with the same claim are refused. The claim belongs to the account
// or server that the connection reaches, and not to the connection: a connection
// that is a [Scoper] says which that is as far as rota.yaml tells, and its opened
// connection, if it is an [Identifier], once it can ask.
package provider
