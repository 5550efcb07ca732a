// Package rota defines what you need to write a provider: the nouns (a
// [Credential] and its [Version] in a store), the small interfaces that a
// provider implements, and the errors and findings that they return.
//
// Rota rotates credentials end to end. It issues a new one, stores it, proves
// that it works, promotes it, delivers it to everything that uses it, waits for
// consumers to switch over, and only then retires the old one.
//
// # The life of a credential
//
//	create → set → test → promote → deliver → reload → … grace … → deactivate → … grace … → delete
//
// Each of these is a [Step], and each step is one method of an interface:
//
//   - An [Issuer] is the system where a credential is valid, such as AWS IAM or
//     a PostgreSQL server. It creates credentials, makes them valid (set), logs
//     in with them (test) and deletes them. Capabilities that only some issuers
//     have are optional interfaces: [Lister], [UseReporter], [Deactivator],
//     [Teller], [Completer].
//   - A [Store] is the system of record. Its versions carry the labels
//     AWSPENDING, AWSCURRENT and AWSPREVIOUS, and promoting a version is a
//     compare-and-swap of AWSCURRENT.
//   - A [Check] is the user's own test of a new credential.
//   - A [Target] receives a copy of the current credential, such as a file or a
//     variable.
//   - A [Reloader] makes consumers use the new value and waits until they are
//     healthy.
//   - A [Notifier] sends events about all of this to people and other systems.
//   - Any of these can also be a [Preflighter], which reports ahead of time
//     whether a rotation would work.
//
// # How the parts fit
//
// This package imports nothing else from the module, and the rest builds on it:
//
//   - rotation decides what a secret needs next and does it, using only these
//     interfaces. It needs no database, so you can embed it.
//   - provider/… has one package per outside system. provider/memory keeps
//     everything in memory, for tests, and provider/aws/awstest is a fake AWS.
//   - provider describes what a provider offers in rota.yaml, and app builds a
//     rota binary with your own providers in a ten-line main.
//   - provider/providertest has the conformance suites. A provider is done when
//     it passes them.
//   - api is the client for a running Rota, and webhook verifies the webhooks
//     that Rota sends.
//
// # A first provider
//
// An issuer for a system that keeps one password per user implements the six
// methods of [Issuer]. The example below is complete. The interfaces' comments
// spell out what makes retries safe: methods are idempotent unless they say
// otherwise, honor the context's deadline, and never put a secret's value into
// an error.
//
// Errors say what can be done about them. Return an [*Error] with a [Class]:
// [ClassWait] if it might work later, [ClassRegenerate] if another value might
// work, and [ClassStop], with a [Remedy], if it won't work until a person acts.
// Wrap [ErrRefused], [ErrNotFound] or [ErrConflict] where the interface's
// comment asks for it.
//
// CONTRIBUTING.md walks through a whole provider, examples/provider.
package rota
