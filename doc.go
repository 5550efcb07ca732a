// Package rota defines what the author of a provider needs: the nouns (a
// [Credential] and its [Version] in a store), the small interfaces that outside
// systems implement, and the errors and findings that these return.
//
// Rota rotates credentials end to end. It issues a new one, stores it, proves
// that it works, promotes it, delivers it to everything that uses it, waits for
// consumers to switch over, and only then retires the old one.
//
// # The life of a credential
//
//	create → set → test → promote → deliver → reload → … grace … → deactivate → … grace … → delete
//
// Each of these words is a [Step], and each step is one method of an interface:
//
//   - An [Issuer] is where a credential is valid: AWS IAM, a PostgreSQL server.
//     It creates credentials, makes them valid (set), logs in with them (test)
//     and deletes them. What only some issuers can do are optional interfaces:
//     [Lister], [UseReporter], [Deactivator], [Teller], [Completer].
//   - A [Store] is the system of record. Its versions carry the labels
//     AWSPENDING, AWSCURRENT and AWSPREVIOUS, and promoting a version is a
//     compare-and-swap of AWSCURRENT.
//   - A [Check] is the user's own test of a new credential.
//   - A [Target] gets a copy of the current credential: a file, a variable.
//   - A [Reloader] makes consumers use the new value and waits until they are
//     healthy.
//   - A [Notifier] hears about it.
//   - Anything of these may be a [Preflighter], which says ahead of time
//     whether a rotation would work.
//
// # How the parts fit
//
// This package imports nothing else of the module, and the rest builds on it:
//
//   - rotation decides what a secret needs and does it, over these interfaces
//     alone. It needs no database, so you can embed it.
//   - provider/… has one package per outside system. provider/memory keeps
//     everything in memory, for tests, and provider/aws/awstest is an AWS for
//     tests.
//   - provider describes what a provider offers in rota.yaml, and app builds a
//     rota with providers of your own in a ten-line main.
//   - provider/providertest has the conformance suites: a provider is done when
//     it passes them.
//   - api is the client of a running Rota, and webhook verifies the webhooks
//     that it sends.
//
// # A first provider
//
// An issuer for a system that keeps one password per user needs five methods.
// The example below is complete. What makes it safe to retry is in the comments
// of the interfaces: methods are idempotent unless they say otherwise, honor
// the context's deadline, and never put a secret's value into an error.
//
// Errors say what may be done about them. Return an [*Error] with a [Class]:
// [ClassWait] if it may work later, [ClassRegenerate] if another value may work,
// [ClassStop] if nothing changes until a person acts, with the [Remedy] that
// tells them what to do. Wrap [ErrRefused], [ErrNotFound] or [ErrConflict] where
// the interface's comment asks for it.
//
// CONTRIBUTING.md walks through a whole provider, examples/provider.
package rota
