// Package rota is what a provider's author imports: the nouns (secret,
// credential, version), the small interfaces that outside systems implement
// ([Issuer], [Store], [Target], [Reloader], [Check], [Notifier]) and the errors
// and findings they return.
//
// It imports nothing else of this module. Package rotation plans and carries
// out rotations over these interfaces; outside systems live under provider.
package rota
