// Package parcel is a provider of Rota for Parcel, a made-up HTTP service whose
// accounts have API tokens. It rotates these tokens (an issuer), keeps copies
// of credentials in an account's settings (a target) and restarts apps that run
// at Parcel (a reloader).
//
// describe.go says what rota.yaml can name and what it means. The other files
// do the work and know nothing of rota.yaml.
package parcel
